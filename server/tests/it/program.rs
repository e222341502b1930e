//! The program itself: its exit codes, its messages, and its end.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

fn program(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.env_clear().args(arguments).envs(environment.iter().copied());
    command
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    program(arguments, environment).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running server on a port of its own, which is killed when a test fails.
struct Server {
    child: Child,
    log: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(level: &str) -> Self {
        let environment = [("SERVER_LISTEN", "127.0.0.1:0"), ("LOG_FORMAT", "json"), ("LOG_LEVEL", level)];
        let mut command = program(&["serve"], &environment);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the server ended before it was ready");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "ready" {
                break line["address"].as_str().unwrap().parse().unwrap();
            }
        };
        Self { child, log, address }
    }

    /// Posts a text to `/process` on a connection that it returns open.
    fn post(&self, query: &str, headers: &str, text: &str) -> TcpStream {
        let body = format!("{{\"text\":\"{text}\"}}");
        let length = body.len();
        let head = format!(
            "POST /process{query} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut start = [0; 15];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        stream
    }

    /// Ends it in order and returns what it logged.
    #[cfg(unix)]
    fn end(mut self, signal: &str) -> String {
        self.signal(signal);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        log
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let status = kill(name, self.child.id());
        assert!(status.success());
    }
}

/// The shell's own `kill`: the program of that name is not everywhere.
#[cfg(unix)]
fn kill(signal: &str, process: u32) -> std::process::ExitStatus {
    Command::new("sh").args(["-c", &format!("kill {signal} {process}")]).status().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_and_version_explain_the_program() {
    let help = run(&["--help"], &[]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    for word in
        ["serve", "openapi", "healthcheck", "SERVER_LISTEN", "ADMIN_LISTEN", "LOG_LEVEL", "0.0.0.0:8001"]
    {
        assert!(help.contains(word), "{word} in {help}");
    }
    let version = text(&run(&["--version"], &[]).stdout);
    assert_eq!(version.trim(), format!("server {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn openapi_prints_the_document_and_nothing_else() {
    let output = run(&["openapi"], &[]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), server::app::App::new().document());
}

#[test]
fn bad_settings_are_all_named_and_the_exit_code_is_78() {
    let environment = [("SERVER_LISTEN", "nowhere"), ("DOCS", "perhaps"), ("LOG_LEVEL", "loud")];
    for command in ["serve", "healthcheck"] {
        let output = run(&[command], &environment);
        assert_eq!(output.status.code(), Some(78));
        let problems = text(&output.stderr);
        assert!(problems.starts_with("3 problems in the configuration:\n"), "{problems}");
        assert!(environment.iter().all(|(name, _)| problems.contains(name)), "{problems}");
    }
}

#[test]
fn a_taken_port_is_named_with_the_variable_and_the_exit_code_is_1() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let output = run(&[], &[("SERVER_LISTEN", &taken.to_string())]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains(&taken.port().to_string()) && message.contains("SERVER_LISTEN"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn healthcheck_tells_a_running_server_from_none() {
    let server = Server::start("info");
    let address = server.address.to_string();
    let main = [("SERVER_LISTEN", address.as_str())];
    assert_eq!(run(&["healthcheck"], &main).status.code(), Some(0));
    let admin = [("SERVER_LISTEN", "127.0.0.1:1"), ("ADMIN_LISTEN", address.as_str())];
    assert_eq!(run(&["healthcheck"], &admin).status.code(), Some(0));
    drop(server);
    let output = run(&["healthcheck"], &main);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address));
}

#[cfg(unix)]
#[test]
fn either_signal_ends_it_in_order_although_an_idle_connection_is_open() {
    for signal in ["-TERM", "-INT"] {
        let server = Server::start("info");
        let _idle = server.post("", "", "hello");
        assert!(server.end(signal).contains("ended in order"));
    }
}

#[cfg(unix)]
#[test]
fn the_log_is_flat_json_with_both_ids_and_without_text_and_query() {
    let server = Server::start("debug");
    let headers = "X-Request-Id: request-1\r\nX-Correlation-Id: correlation-1\r\n";
    drop(server.post("?key=hunter2", headers, "good morning"));
    drop(server.post("", "X-Correlation-Id: not harmless\r\n", "good morning"));
    let log = server.end("-TERM");
    for secret in ["hunter2", "good morning", "not harmless"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        assert!(
            line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string(),
            "{line}"
        );
        assert!(line.as_object().unwrap().values().all(|value| !value.is_object()), "{line}");
    }
    let of_request = |message: &str| {
        let line = lines.iter().find(|line| line["message"] == message && line["request_id"] == "request-1");
        line.unwrap_or_else(|| panic!("{message} in {log}"))
    };
    let processed = of_request("message processed");
    assert_eq!(
        (&processed["correlation_id"], &processed["level"]),
        (&"correlation-1".into(), &"INFO".into())
    );
    assert_eq!(of_request("request")["route"], "/process");
    assert_eq!(of_request("request")["status"], 200);
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_it_at_once() {
    let environment =
        [("SERVER_LISTEN", "127.0.0.1:0"), ("LOG_FORMAT", "json"), ("SHUTDOWN_DRAIN_DELAY", "1h")];
    let mut child = program(&[], &environment).stdout(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let mut wait_for = |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the log ended before {words:?}");
        }
    };
    let signal = || kill("-TERM", child.id());
    wait_for("\"ready\"");
    assert!(signal().success());
    wait_for("draining");
    assert!(signal().success());
    wait_for("second signal");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
