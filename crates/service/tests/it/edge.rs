//! What the edge makes of everything that endpoints do.

use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Response, Route, get, handler,
    http::StatusCode,
    test::{TestClient, TestResponse},
    web::Path,
};
use poem_openapi::{ApiResponse, OpenApi, OpenApiService, param, payload::Json};
use serde_json::Value;
use service::{
    http::{Edge, Problem, RequestFacts, Routes},
    metrics::Metrics,
};

#[handler]
fn who(request: &poem::Request) -> String {
    RequestFacts::of(request).map(|facts| facts.id().to_string()).unwrap_or_default()
}

#[handler]
fn thing(Path(id): Path<u32>) -> Result<String, Problem> {
    if id == 0 {
        Err(Problem::forbidden("not this one").with_code("zero_forbidden"))
    } else {
        Ok(id.to_string())
    }
}

#[handler]
fn panics() -> String {
    panic!("on purpose")
}

#[handler]
fn bare() -> StatusCode {
    StatusCode::CONFLICT
}

#[handler]
fn foreign() -> Response {
    Response::builder()
        .status(StatusCode::UNAUTHORIZED)
        .content_type("application/json")
        .body(r#"{"error":{"code":190}}"#)
}

#[handler]
fn leaks() -> poem::Result<String> {
    Err(poem::Error::from_string("password is 1234", StatusCode::INTERNAL_SERVER_ERROR))
}

struct Api;

#[derive(ApiResponse)]
enum Answer {
    /// Refused.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Problem>),
}

#[OpenApi]
impl Api {
    /// Refuses, or complains about its parameter.
    #[oai(path = "/api/things/:id", method = "get", operation_id = "thing")]
    async fn thing(&self, id: param::Path<u32>) -> Answer {
        let detail = format!("{} is taken", id.0);
        Answer::Conflict(Json(Problem::conflict(detail)))
    }

    /// Fails with the answer as an error.
    #[oai(path = "/api/fails", method = "get", operation_id = "fails")]
    async fn fails(&self) -> poem::Result<Answer> {
        Err(Answer::Conflict(Json(Problem::conflict("as an error"))).into())
    }
}

struct Service {
    client: TestClient<Box<dyn poem::endpoint::DynEndpoint<Output = Response>>>,
    metrics: Metrics,
}

fn service() -> Service {
    let metrics = Metrics::new("test", "1", "r");
    let api = OpenApiService::new(Api, "test", "1");
    let documented = Routes::from_openapi(&api.spec());
    let routes = Route::new()
        .at("/who", get(who))
        .at("/things/:id", get(thing))
        .at("/panics", get(panics))
        .at("/bare", get(bare))
        .at("/foreign", get(foreign))
        .at("/leaks", get(leaks))
        .nest("/", api);
    let endpoint = routes.with(Edge::new(&metrics).with_routes(documented)).into_endpoint();
    Service { client: TestClient::new(endpoint.boxed()), metrics }
}

impl Service {
    async fn get(&self, path: &str) -> TestResponse {
        self.client.get(path).send().await
    }

    fn counted(&self, labels: &str) -> bool {
        let line = format!("http_server_request_duration_seconds_count{{{labels}}} 1\n");
        self.metrics.encode().contains(&line)
    }
}

/// Checks the shape that every error has, and returns it.
async fn problem(response: TestResponse, status: u16, code: &str) -> Value {
    response.assert_status(StatusCode::from_u16(status).unwrap());
    response.assert_content_type("application/problem+json");
    let id = response.0.header("x-request-id").unwrap().to_owned();
    let problem: Value = response.0.into_body().into_json().await.unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["code"], code);
    assert_eq!(problem["type"], format!("https://whatsapp-router.dev/problems/{code}"));
    assert_eq!(problem["request_id"], id);
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem
}

#[tokio::test]
async fn a_harmless_request_id_is_kept_and_any_other_replaced() {
    let service = service();
    let answer = service.client.get("/who").header("X-Request-Id", "mine.1").send().await;
    answer.assert_header("x-request-id", "mine.1");
    answer.assert_header("x-content-type-options", "nosniff");
    answer.assert_text("mine.1").await;
    let answer = service.client.get("/who").header("X-Request-Id", "a b").send().await;
    let id = answer.0.header("x-request-id").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    answer.assert_text(id).await;
}

#[tokio::test]
async fn unknown_paths_are_problems_counted_without_their_path() {
    let service = service();
    problem(service.get("/nowhere/123").await, 404, "not_found").await;
    assert!(
        service
            .counted(r#"http_request_method="GET",http_response_status_code="404",http_route="unmatched""#)
    );
    assert!(!service.metrics.encode().contains("nowhere"));
}

#[tokio::test]
async fn a_wrong_method_says_which_ones_there_are() {
    let service = service();
    let answer = service.client.post("/api/things/1").send().await;
    answer.assert_header("allow", "GET, HEAD");
    problem(answer, 405, "method_not_allowed").await;
    let labels =
        r#"http_request_method="POST",http_response_status_code="405",http_route="/api/things/{id}""#;
    assert!(service.counted(labels), "{}", service.metrics.encode());
}

#[tokio::test]
async fn a_problem_of_a_handler_keeps_its_code_and_its_route() {
    let service = service();
    let problem = problem(service.get("/things/0").await, 403, "zero_forbidden").await;
    assert_eq!(problem["detail"], "not this one");
    assert!(
        service
            .counted(r#"http_request_method="GET",http_response_status_code="403",http_route="/things/:id""#)
    );
}

#[tokio::test]
async fn a_success_is_counted_under_its_template() {
    let service = service();
    service.get("/things/7").await.assert_status_is_ok();
    assert!(
        service
            .counted(r#"http_request_method="GET",http_response_status_code="200",http_route="/things/:id""#)
    );
}

#[tokio::test]
async fn extractors_of_poem_and_of_the_api_complain_in_the_same_shape() {
    let service = service();
    problem(service.get("/things/x").await, 400, "invalid_request").await;
    let problem = problem(service.get("/api/things/x").await, 400, "invalid_request").await;
    assert!(problem["detail"].as_str().unwrap().contains("id"), "{problem}");
    let labels = r#"http_request_method="GET",http_response_status_code="400",http_route="/api/things/{id}""#;
    assert!(service.counted(labels), "{}", service.metrics.encode());
}

#[tokio::test]
async fn a_documented_problem_learns_its_request_id() {
    let service = service();
    let taken = problem(service.get("/api/things/7").await, 409, "conflict").await;
    assert_eq!(taken["detail"], "7 is taken");
    let failed = problem(service.get("/api/fails").await, 409, "conflict").await;
    assert_eq!(failed["detail"], "as an error");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_next_request_is_answered() {
    let service = service();
    let problem = problem(service.get("/panics").await, 500, "internal_error").await;
    assert!(!problem.to_string().contains("on purpose"));
    service.get("/who").await.assert_status_is_ok();
    assert!(service.metrics.encode().contains("http_server_active_requests 0\n"));
}

#[tokio::test]
async fn what_went_wrong_inside_is_not_told() {
    let problem = problem(service().get("/leaks").await, 500, "internal_error").await;
    assert!(!problem.to_string().contains("1234"));
}

#[tokio::test]
async fn a_bare_status_becomes_a_problem_and_a_foreign_format_stays() {
    let service = service();
    problem(service.get("/bare").await, 409, "conflict").await;
    let answer = service.get("/foreign").await;
    answer.assert_status(StatusCode::UNAUTHORIZED);
    answer.assert_text(r#"{"error":{"code":190}}"#).await;
}

#[tokio::test]
async fn the_edge_never_returns_an_error() {
    let metrics = Metrics::new("test", "1", "r");
    let endpoint = Route::new().with(Edge::new(&metrics));
    assert!(endpoint.call(poem::Request::default()).await.is_ok());
}
