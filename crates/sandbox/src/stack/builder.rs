//! Says what the stack is made of, and starts it: simulator, server, router, in this order.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Data, Stack, StackError, binaries, child::Service, output::Output, ports, routers::NAMES,
    searched::Searched,
};
use crate::simulator::{Links, Simulator, SimulatorOptions};

const FREE_LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

const LIFTED_LIMITS: [(&str, &str); 5] = [
    ("WHATSAPP_MAX_MESSAGES_PER_SECOND", "100000"),
    ("WHATSAPP_USER_INITIATED_PER_SECOND", "100000"),
    ("WHATSAPP_BUSINESS_INITIATED_PER_SECOND", "100000"),
    ("WHATSAPP_PAIR_BURST", "100000"),
    ("WHATSAPP_PAIR_INTERVAL", "1ms"),
];

/// What the stack is made of. Every setting has a default that suits a test.
#[derive(Debug)]
pub struct StackBuilder {
    simulator: SimulatorOptions,
    router_listen: SocketAddr,
    server_listen: SocketAddr,
    data: Option<PathBuf>,
    output: Output,
    inherit_env: bool,
    router_env: BTreeMap<String, String>,
    server_env: BTreeMap<String, String>,
    with_server: bool,
    lift_limits: bool,
    router_program: Option<(PathBuf, Vec<String>)>,
    routers: usize,
    database: Option<String>,
    searched: bool,
}

impl Default for StackBuilder {
    fn default() -> Self {
        let secret = || SecretString::from(format!("{:032x}", rand::random::<u128>()));
        let simulator = SimulatorOptions {
            app_secret: secret(),
            verify_token: secret(),
            access_token: secret(),
            ..SimulatorOptions::default()
        };
        Self {
            simulator,
            router_listen: FREE_LOOPBACK,
            server_listen: FREE_LOOPBACK,
            data: None,
            output: Output::default(),
            inherit_env: false,
            router_env: BTreeMap::new(),
            server_env: BTreeMap::new(),
            with_server: true,
            lift_limits: true,
            router_program: None,
            routers: 1,
            searched: false,
            database: None,
        }
    }
}

impl StackBuilder {
    /// Changes the simulator's options; its secrets are random unless they are set here.
    pub fn simulator(mut self, change: impl FnOnce(&mut SimulatorOptions)) -> Self {
        change(&mut self.simulator);
        self
    }

    /// Port 0 (the default) takes a free one.
    pub fn router_listen(mut self, address: SocketAddr) -> Self {
        self.router_listen = address;
        self
    }

    pub fn server_listen(mut self, address: SocketAddr) -> Self {
        self.server_listen = address;
        self
    }

    /// Keeps the router's database in this folder instead of a temporary one.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Gives the processes this process's whole environment, below what the stack itself sets.
    pub fn inherit_env(mut self) -> Self {
        self.inherit_env = true;
        self
    }

    /// When the stack is dropped, it panics if a log line, a span or a metric of its services holds a credential, or a
    /// number, a name or a text of those who wrote. The services then send every trace to the stack, unless they are told
    /// to send it elsewhere. For tests.
    pub fn search_output(mut self) -> Self {
        self.searched = true;
        self
    }

    /// Sets a variable of the router; wins over what the stack sets.
    pub fn router_env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.router_env.insert(name.to_owned(), value.into());
        self
    }

    pub fn server_env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.server_env.insert(name.to_owned(), value.into());
        self
    }

    /// No server process: the simulator's own backend answers, which can be made to fail.
    pub fn without_server(mut self) -> Self {
        self.with_server = false;
        self
    }

    /// Sends as fast as Meta allows a number. Without this the router is told that nearly everything is allowed, since
    /// most tests send more to one person than Meta would take.
    pub fn with_metas_limits(mut self) -> Self {
        self.lift_limits = false;
        self
    }

    /// Another program in the router's place; it gets the same environment.
    pub fn router_program(mut self, program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        self.router_program = Some((program.into(), arguments.iter().map(|&part| part.to_owned()).collect()));
        self
    }

    /// So many routers on one database, 1 to 5; it has to be one that they can share. All but the first take free ports.
    pub fn routers(mut self, count: usize) -> Self {
        self.routers = count.clamp(1, NAMES.len());
        self
    }

    /// The routers' `DATABASE_URL`, instead of a SQLite file in the data folder.
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = Some(url.into());
        self
    }

    /// Channels and routes from this folder instead of the environment. Their objects may name the secrets
    /// `default/access-token`, `default/verify-token` and `default/app-secret`.
    pub fn config_dir(self, folder: impl AsRef<Path>) -> Self {
        let folder = std::path::absolute(folder.as_ref()).unwrap_or_else(|_| folder.as_ref().to_owned());
        self.router_env("CONFIG_SOURCE", "files").router_env("CONFIG_DIR", folder.to_string_lossy())
    }

    /// Starts everything and answers when all of it is ready and the handshake is made.
    pub async fn start(mut self) -> Result<Stack, StackError> {
        let searched = self.searched()?;
        self.simulator.keep_injected |= searched.is_some();
        let (router_program, router_arguments) = match self.router_program.take() {
            Some(program) => program,
            None => (binaries::find("router", "ROUTER_BIN")?, vec!["serve".to_owned()]),
        };
        let server_program =
            if self.with_server { Some(binaries::find("server", "SERVER_BIN")?) } else { None };
        let data = folder(self.data.as_deref())?;
        if self.simulator.listen.port() != 0 {
            ports::choose("sandbox", self.simulator.listen, "--listen")?;
        }
        let router_address = ports::choose("router", self.router_listen, "--router-listen")?;
        let mut router_addresses = vec![router_address];
        while router_addresses.len() < self.routers {
            let free = SocketAddr::new(router_address.ip(), 0);
            let address = ports::choose("router", free, "--router-listen")?;
            if !router_addresses.contains(&address) {
                router_addresses.push(address);
            }
        }
        let router_url = format!("http://{router_address}");
        let server_address = match &server_program {
            Some(_) => Some(ports::choose("server", self.server_listen, "--server-listen")?),
            None => None,
        };
        self.simulator.router_webhook_url = Some(format!("{router_url}/webhook"));
        self.simulator.links = Links {
            router: Some(router_url.clone()),
            server: server_address.map(|address| format!("http://{address}")),
        };
        let simulator = Simulator::start(self.simulator.clone()).await?;
        let telemetry = searched.as_ref().map(Searched::env).unwrap_or_default();
        let mut server = match (server_program, server_address) {
            (Some(program), Some(address)) => {
                let settings = [("SERVER_LISTEN", address.to_string())].into_iter().chain(telemetry.clone());
                let env = with(settings, &self.server_env);
                let mut server = self.service("server", program, vec!["serve".to_owned()], env, address);
                server.searched_by(searched.as_ref());
                Some(server)
            }
            _ => None,
        };
        if let Some(server) = &mut server {
            server.start().await?;
        }
        let backend = server.as_ref().map_or_else(|| simulator.backend_url(), |server| server.url.clone());
        let mut routers = Vec::new();
        for (name, address) in NAMES.into_iter().zip(router_addresses) {
            let settings = self.router_settings(&simulator, address, &backend, data.path());
            let env = with(settings.into_iter().chain(telemetry.clone()), &self.router_env);
            let mut router =
                self.service(name, router_program.clone(), router_arguments.clone(), env, address);
            router.searched_by(searched.as_ref());
            router.start().await?;
            routers.push(router);
        }
        let urls: Vec<String> = routers.iter().map(|router| format!("{}/webhook", router.url)).collect();
        simulator.set_router_webhook_urls(&urls);
        simulator.handshake().await;
        Ok(Stack { routers, server, simulator: Arc::new(simulator), data, searched })
    }

    fn searched(&self) -> Result<Option<Searched>, StackError> {
        let io = |source| StackError::Io { what: "take traces".to_owned(), source };
        self.searched.then(Searched::start).transpose().map_err(io)
    }

    fn router_settings(
        &self,
        simulator: &Simulator,
        listen: SocketAddr,
        backend: &str,
        data: &Path,
    ) -> Vec<(&'static str, String)> {
        let secret = |secret: &SecretString| secret.expose_secret().to_owned();
        let own_file = || format!("sqlite://{}", data.join("router.db").display());
        let database = self.database.clone().unwrap_or_else(own_file);
        let number = self.simulator.numbers.first().map(|number| number.phone_number_id.clone());
        let mut settings = vec![
            ("ROUTER_LISTEN", listen.to_string()),
            ("CONFIG_SOURCE", "env".to_owned()),
            ("SERVER_BASE_URL", backend.to_owned()),
            ("WHATSAPP_API_BASE_URL", simulator.url().to_owned()),
            ("WHATSAPP_PHONE_NUMBER_ID", number.unwrap_or_default()),
            ("WHATSAPP_ACCESS_TOKEN", secret(&self.simulator.access_token)),
            ("WHATSAPP_WEBHOOK_VERIFY_TOKEN", secret(&self.simulator.verify_token)),
            ("WHATSAPP_WEBHOOK_SECRET", secret(&self.simulator.app_secret)),
            ("DATABASE_URL", database),
        ];
        if self.lift_limits {
            settings.extend(LIFTED_LIMITS.map(|(name, value)| (name, value.to_owned())));
        }
        settings
    }

    fn service(
        &self,
        name: &'static str,
        program: PathBuf,
        arguments: Vec<String>,
        env: BTreeMap<String, String>,
        address: SocketAddr,
    ) -> Service {
        Service {
            name,
            program,
            arguments,
            env,
            inherit_env: self.inherit_env,
            url: format!("http://{address}"),
            output: self.output.clone(),
            lines: super::output::Lines::last_ones(),
            metrics: None,
            running: None,
            ready_after: std::time::Duration::ZERO,
        }
    }
}

fn with(
    settings: impl IntoIterator<Item = (&'static str, String)>,
    extra: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> =
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    env.extend(extra.clone());
    env
}

fn folder(kept: Option<&Path>) -> Result<Data, StackError> {
    let what = || "make a folder for the router's database".to_owned();
    match kept {
        None => tempfile::Builder::new()
            .prefix("whatsapp-sandbox-")
            .tempdir()
            .map(Data::Temporary)
            .map_err(|source| StackError::Io { what: what(), source }),
        Some(folder) => std::fs::create_dir_all(folder)
            .and_then(|()| folder.canonicalize())
            .map(Data::Kept)
            .map_err(|source| StackError::Io { what: format!("{} ({})", what(), folder.display()), source }),
    }
}
