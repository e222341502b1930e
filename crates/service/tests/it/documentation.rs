//! The documentation of an API, and its absence.

use poem::{EndpointExt, IntoEndpoint, http::StatusCode, test::TestClient};
use poem_openapi::OpenApiService;
use service::{
    health::Health,
    http::{Docs, Edge, Routes},
    metrics::Metrics,
    ops::OpsApi,
};

fn client(page: bool) -> (TestClient<impl poem::Endpoint>, String) {
    let metrics = Metrics::new("test", "1", "r");
    let ops = OpsApi::new("tester", "1", Health::new(), metrics.clone());
    let service = OpenApiService::new(ops, "test", "1");
    let docs = Docs::of(&service, page);
    let document = docs.document().to_owned();
    let edge = Edge::new(&metrics).with_routes(Routes::from_openapi(&document));
    (TestClient::new(docs.before(service.into_endpoint()).with(edge)), document)
}

#[tokio::test]
async fn the_page_holds_the_document_and_has_a_policy_of_its_own() {
    let (client, document) = client(true);
    for path in ["/docs", "/docs/"] {
        let page = client.get(path).send().await;
        page.assert_status_is_ok();
        page.assert_content_type("text/html; charset=utf-8");
        let policy = page.0.header("content-security-policy").unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let html = page.0.into_body().into_string().await.unwrap();
        assert!(html.contains("SwaggerUIBundle") && html.contains(document.trim()));
    }
    let answer = client.get("/openapi.json").send().await;
    answer.assert_content_type("application/json");
    answer.assert_text(document).await;
}

#[tokio::test]
async fn without_the_page_the_document_stays() {
    let (client, _) = client(false);
    client.get("/docs").send().await.assert_status(StatusCode::NOT_FOUND);
    client.get("/openapi.json").send().await.assert_status_is_ok();
}

#[tokio::test]
async fn it_can_only_be_read_and_hides_nothing_else() {
    let (client, _) = client(true);
    let answer = client.post("/docs").send().await;
    answer.assert_status(StatusCode::METHOD_NOT_ALLOWED);
    answer.assert_header("allow", "GET, HEAD");
    client.get("/livez").send().await.assert_status_is_ok();
}
