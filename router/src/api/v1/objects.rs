//! `/api/v1/channels` and `/api/v1/routes`: the configuration that is in use, and what became of every object.

use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Path,
    payload::Json,
    types::{Any, Example},
};
use serde_json::{Value, json};
use service::http::Problem;

use crate::{
    api::{
        RouterTag,
        access::Reader,
        desk::Desk,
        refused::{Found, Looking, Refused},
    },
    config::{
        compiled::{Compiled, ObjectReport},
        snapshot::Kind,
        view::ConfigView,
    },
    engine::ChannelHealth,
    working::{self, Working},
};

/// See the module.
#[derive(Debug, Clone)]
pub struct ObjectsApi {
    pub config: ConfigView,
    pub desk: Desk,
}

/// The answer to one question about an object, as Kubernetes has it in the object's status.
#[derive(Debug, Object)]
#[oai(rename = "Condition")]
struct ConditionItem {
    /// `Accepted`: is it right in itself and beside the others? `ResolvedRefs`: is everything that it names there?
    /// `Programmed`: is this very version in use? Of a channel in use also `Sending`: does Meta take what it sends? and
    /// `Receiving`: do messages come in?
    #[oai(rename = "type")]
    kind: String,
    /// `True`, `False` or `Unknown`.
    status: String,
    /// A stable word, such as `Invalid`, `Conflicted`, `SecretNotFound`, `LastGoodVersion`, `TokenRefused` or `Silent`.
    reason: String,
    /// For people: what is wrong, and what to do.
    message: String,
}

#[derive(Debug, Object)]
#[oai(rename = "ObjectStatus")]
struct StatusItem {
    /// The `metadata.generation` that the conditions are about; only in Kubernetes.
    #[oai(rename = "observedGeneration", skip_serializing_if_is_none)]
    observed_generation: Option<i64>,
    conditions: Vec<ConditionItem>,
}

/// One Channel or Route. It names secrets and never holds one.
#[derive(Debug, Object)]
#[oai(rename = "ConfigObject")]
struct ObjectItem {
    name: String,
    /// Where it is: the file and the place in it, the namespace, or the environment.
    origin: String,
    /// The version in use; without one, the version that its source has, unless it breaks the schema.
    spec: Option<Any<Value>>,
    status: StatusItem,
}

/// All objects of one kind, by name.
#[derive(Debug, Object)]
#[oai(rename = "ConfigObjectList", example)]
struct ObjectList {
    items: Vec<ObjectItem>,
    /// Their home: `env`, `files` or `kubernetes`.
    source: String,
    /// Goes up when what is in use changes; counted since the start of this router. 0: nothing was read yet.
    generation: u64,
    /// Of what is in use, without secrets: routers with the same one route alike.
    checksum: String,
    /// What is no object at all, such as a file that is not YAML.
    problems: Vec<String>,
}

impl From<&ObjectReport> for ObjectItem {
    fn from(report: &ObjectReport) -> Self {
        let conditions = report.conditions.iter().map(|condition| ConditionItem {
            kind: condition.kind.as_str().to_owned(),
            status: condition.status.as_str().to_owned(),
            reason: condition.reason.as_str().to_owned(),
            message: condition.message.clone(),
        });
        Self {
            name: report.id.name.clone(),
            origin: report.origin.clone(),
            spec: report.spec.clone().map(Any),
            status: StatusItem { observed_generation: report.generation, conditions: conditions.collect() },
        }
    }
}

impl From<Working> for ConditionItem {
    fn from(working: Working) -> Self {
        Self {
            kind: working.kind.to_owned(),
            status: working.status.as_str().to_owned(),
            reason: working.reason.to_owned(),
            message: working.message,
        }
    }
}

impl ObjectList {
    fn of(compiled: &Compiled, items: Vec<ObjectItem>, source: &str) -> Self {
        Self {
            items,
            source: source.to_owned(),
            generation: compiled.generation,
            checksum: compiled.checksum.clone(),
            problems: compiled.problems.clone(),
        }
    }
}

impl Example for ObjectList {
    fn example() -> Self {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| ConditionItem {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        let spec = json!({
            "channelRefs": [{"name": "support"}],
            "priority": 0,
            "rules": [{"name": "default", "backends": [{"url": "http://orders:8080", "weight": 1}], "markRead": "Never"}],
        });
        let conditions = vec![
            condition("Accepted", "False", "Invalid", "spec.rules[0].backends: needs at least 1 of them"),
            condition("ResolvedRefs", "True", "ResolvedRefs", "everything that it names is there"),
            condition("Programmed", "False", "LastGoodVersion", "the last good version is in use"),
        ];
        let item = ObjectItem {
            name: "orders".to_owned(),
            origin: "routes.yaml, document 1".to_owned(),
            spec: Some(Any(spec)),
            status: StatusItem { observed_generation: None, conditions },
        };
        Self {
            items: vec![item],
            source: "files".to_owned(),
            generation: 3,
            checksum: "5f1d7a84c0e2".to_owned(),
            problems: Vec::new(),
        }
    }
}

#[derive(ApiResponse)]
enum ListAnswer {
    /// All of them.
    #[oai(status = 200)]
    List(Json<ObjectList>),
}

#[derive(ApiResponse)]
enum OneAnswer {
    /// The object.
    #[oai(status = 200)]
    One(Json<ObjectItem>),
}

impl ObjectsApi {
    fn list(&self, kind: Kind) -> ListAnswer {
        let compiled = self.config.compiled.borrow();
        let of_kind = compiled.reports.iter().filter(|report| report.id.kind == kind);
        let health = self.health();
        let items = of_kind.map(|report| item(report, &health)).collect();
        ListAnswer::List(Json(ObjectList::of(&compiled, items, self.config.source.as_str())))
    }

    fn one(&self, kind: Kind, name: &str) -> Result<OneAnswer, Refused<Found>> {
        let compiled = self.config.compiled.borrow();
        let report = compiled.reports.iter().find(|report| report.id.kind == kind && report.id.name == name);
        let report = report
            .ok_or_else(|| Problem::not_found(format!("there is no {} of this name", kind.as_str())))?;
        Ok(OneAnswer::One(Json(item(report, &self.health()))))
    }

    /// What the engine knows of the channels.
    fn health(&self) -> Vec<ChannelHealth> {
        self.desk.engine().map(|engine| engine.channels_health()).unwrap_or_default()
    }
}

/// A channel in use has what the engine knows of it beside what its configuration came to.
fn item(report: &ObjectReport, health: &[ChannelHealth]) -> ObjectItem {
    let mut item = ObjectItem::from(report);
    let is_it =
        |health: &&ChannelHealth| report.id.kind == Kind::Channel && *health.channel == *report.id.name;
    if let Some(health) = health.iter().find(is_it) {
        item.status.conditions.extend(working::conditions(health).map(ConditionItem::from));
    }
    item
}

#[OpenApi(prefix_path = "/api/v1", tag = "RouterTag::Configuration")]
impl ObjectsApi {
    /// List the channels
    ///
    /// The configuration in use, and for each channel whether it is accepted, whether its secrets are there, whether this
    /// very version of it is in use, and whether it works: does Meta take what it sends, do messages come in?
    #[oai(path = "/channels", method = "get", operation_id = "listChannels")]
    async fn channels(&self, _reader: Reader) -> Result<ListAnswer, Refused<Looking>> {
        Ok(self.list(Kind::Channel))
    }

    /// Look at a channel
    #[oai(path = "/channels/:name", method = "get", operation_id = "getChannel")]
    async fn channel(
        &self,
        _reader: Reader,
        /// The object's name.
        name: Path<String>,
    ) -> Result<OneAnswer, Refused<Found>> {
        self.one(Kind::Channel, &name)
    }

    /// List the routes
    ///
    /// The configuration in use, and for each route whether it is accepted, whether everything that it names is there,
    /// and whether this very version of it is in use.
    #[oai(path = "/routes", method = "get", operation_id = "listRoutes")]
    async fn routes(&self, _reader: Reader) -> Result<ListAnswer, Refused<Looking>> {
        Ok(self.list(Kind::Route))
    }

    /// Look at a route
    #[oai(path = "/routes/:name", method = "get", operation_id = "getRoute")]
    async fn route(
        &self,
        _reader: Reader,
        /// The object's name.
        name: Path<String>,
    ) -> Result<OneAnswer, Refused<Found>> {
        self.one(Kind::Route, &name)
    }
}
