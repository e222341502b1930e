//! A thousand clients that drip a byte a second, and Meta's webhooks in between.

use std::time::Duration;

use sandbox::stack::Stack;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use serde_json::json;

use crate::{
    harness::{PATIENCE, builder, faults, metric, replies, webhook},
    webhook_table::post,
};

const DRIPPING: usize = 1_000;

/// Descriptors that this process needs for everything else.
const OTHERS: u64 = 100;

/// What a client sends at once, before it begins to drip. None of it is ever completed.
const BEGINNINGS: [&str; 4] = [
    "GET /livez HTTP/1.1\r\nHost: a\r\nX-",
    // A whole request, and only the next one drips.
    "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    // Together they announce more than there is room for.
    "POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x04\x08",
];

/// Returns when the router has closed the connection.
async fn drip(address: String, beginning: &'static str) {
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let dripping = async {
        write.write_all(beginning.as_bytes()).await?;
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            write.write_all(b"x").await?;
        }
    };
    let mut answers = Vec::new();
    let closed = read.read_to_end(&mut answers);
    tokio::select! {
        _ = closed => {}
        result = dripping => {
            let result: std::io::Result<()> = result;
            assert!(result.is_err(), "it never ends by itself");
        }
    }
}

async fn start_dripping(stack: &Stack) -> (JoinSet<()>, usize) {
    let files = service::descriptors::raise_limit().unwrap_or(u64::MAX);
    let count = DRIPPING.min(usize::try_from(files.saturating_sub(OTHERS)).unwrap_or(DRIPPING));
    let count = count - count % BEGINNINGS.len();
    let address = stack.router_url().strip_prefix("http://").unwrap().to_owned();
    let mut dripping = JoinSet::new();
    for beginning in BEGINNINGS.iter().cycle().take(count) {
        dripping.spawn(drip(address.clone(), beginning));
    }
    (dripping, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_that_drip_keep_nobody_from_being_answered() {
    let stack = builder()
        .router_env("HTTP_HEAD_TIMEOUT", "3s")
        .router_env("HTTP_BODY_TIMEOUT", "3s")
        .start()
        .await
        .unwrap();
    // A pooled client opens connections that it may never use, and those are cut off rightly; so every webhook here
    // has a connection of its own, and those of the count are the ones that drip.
    stack.simulator().set_faults(faults(json!({"webhooks": {"no_statuses": true}})));
    let (mut dripping, count) = start_dripping(&stack).await;
    let all_came = async {
        let mut came = 0.0;
        while came < count as f64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            came = metric(&stack, "http_server_connections").await
                + metric(&stack, "http_server_connections_cut_off_total").await;
        }
    };
    timeout(PATIENCE, all_came).await.unwrap();

    for number in 0..50 {
        let body = webhook(&[("15550100001", &format!("wamid.drip{number}"), &number.to_string())]);
        let signature = stack.simulator().sign(body.as_bytes());
        assert_eq!(post(&stack, body.as_bytes(), Some(&signature), false).await.0, 200);
    }
    assert_eq!(replies(&stack, 50).await.len(), 50);

    let cut_off = async { while dripping.join_next().await.transpose().unwrap().is_some() {} };
    if timeout(PATIENCE, cut_off).await.is_err() {
        panic!("{} were not cut off; the router says:\n{}", dripping.len(), stack.router_output());
    }
    assert_eq!(metric(&stack, "http_server_connections_cut_off_total").await, (count / 4 * 3) as f64);
    let refused = metric(&stack, "http_server_connections_refused_total").await;
    assert_eq!(refused, 0.0, "half of all connections are enough for one client");
}
