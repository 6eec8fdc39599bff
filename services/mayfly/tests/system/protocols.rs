//! All protocols in every layout on every database: REST, gRPC, gRPC through the gateway, gRPC-Web and reflection.

use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    config::GetLastActiveAppConfigRequest,
    error::ErrorReason,
    message::{
        BurnMessageRequest, CreateMessageRequest, CreateMessageResponse, LookupMessageRequest, MessageState,
        ViewMessageRequest, ViewMessageResponse, message_service_client::MessageServiceClient,
    },
};
use mayfly_testkit::{TestDatabase, grpc_web, on_each_database};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, prost_types::FileDescriptorProto};
use serde_json::Value;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::harness::{Layout, Options, System};

const VIEW: &str = "/mayfly.message.v1.MessageService/ViewMessage";
const CREATE: &str = "/mayfly.message.v1.MessageService/CreateMessage";

fn create(text: &str) -> CreateMessageRequest {
    CreateMessageRequest::from_text(text)
}

fn view(message: &CreateMessageResponse) -> ViewMessageRequest {
    ViewMessageRequest { id: message.id, access_token: message.access_token.clone(), ..ViewMessageRequest::default() }
}

async fn rest(system: &System) {
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}/api/v1/{path}", system.gateway_url);
    let created = client.post(url("create_message/")).form(&[("text", "hello")]).send().await.unwrap();
    assert_eq!(created.status(), 201);
    let created: Value = created.json().await.unwrap();
    let path = format!("get_message/{}/{}/", created["id"], created["access_token"].as_str().unwrap());
    let read = client.get(url(&path)).send().await.unwrap();
    assert_eq!(read.status(), 200);
    assert_eq!(read.json::<Value>().await.unwrap()["text"], "hello");
    let again = client.get(url(&path)).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.headers()["mayfly-message-state"].as_bytes()), (204, &b"viewed"[..]));

    let other: Value =
        client.post(url("create_message")).form(&[("text", "x")]).send().await.unwrap().json().await.unwrap();
    let burned = client.post(url("burn_message")).json(&other).send().await.unwrap();
    assert_eq!(burned.status(), 200);
    let looked_up: Value = client.post(url("lookup_message")).json(&other).send().await.unwrap().json().await.unwrap();
    assert_eq!(looked_up["state"], "burned");
    assert_eq!(client.get(url("get_last_active_app_config/")).send().await.unwrap().status(), 204);
}

async fn grpc(url: &str) {
    let mut client = MessageServiceClient::new(StoreChannel::remote(url).unwrap());
    let message = client.create_message(create("hello")).await.unwrap().into_inner();
    assert_eq!(client.view_message(view(&message)).await.unwrap().into_inner().text(), Some("hello"));
    let gone = client.view_message(view(&message)).await.unwrap_err();
    assert_eq!(ErrorInfo::from_status(&gone).reason, ErrorReason::MessageViewed);

    let other = client.create_message(create("x")).await.unwrap().into_inner();
    let burn = BurnMessageRequest { id: other.id, access_token: other.access_token.clone() };
    client.burn_message(burn).await.unwrap();
    let lookup = LookupMessageRequest { id: other.id, access_token: other.access_token };
    assert_eq!(client.lookup_message(lookup).await.unwrap().into_inner().state(), MessageState::Burned);
}

async fn grpc_web_calls(url: &str) {
    let created = grpc_web::call::<CreateMessageResponse>(url, CREATE, &create("hello")).await.unwrap();
    let viewed = grpc_web::call::<ViewMessageResponse>(url, VIEW, &view(&created.messages[0])).await.unwrap();
    assert_eq!(viewed.messages[0].text(), Some("hello"));
    let gone = grpc_web::call::<ViewMessageResponse>(url, VIEW, &view(&created.messages[0])).await.unwrap();
    assert!(gone.messages.is_empty() && gone.trailers.contains("grpc-status:5"), "{}", gone.trailers);
}

type Reflection = ServerReflectionClient<StoreChannel>;

async fn reflect(client: &mut Reflection, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let responses = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    responses.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
}

/// The file that declares `symbol`, with all of its imports, gathered as grpcurl does.
async fn descriptors_of(client: &mut Reflection, symbol: &str) -> DescriptorPool {
    let mut requests = vec![MessageRequest::FileContainingSymbol(symbol.to_owned())];
    let mut files: Vec<FileDescriptorProto> = Vec::new();
    while let Some(request) = requests.pop() {
        let response = reflect(client, request).await;
        let MessageResponse::FileDescriptorResponse(found) = response else { panic!("{symbol}: {response:?}") };
        for file in &found.file_descriptor_proto {
            let file = FileDescriptorProto::decode(file.as_slice()).unwrap();
            requests.extend(file.dependency.iter().cloned().map(MessageRequest::FileByFilename));
            files.retain(|known| known.name != file.name);
            files.push(file);
        }
    }
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(files).unwrap();
    pool
}

/// What reflection returns to a client without the contracts.
async fn reflection(url: &str, served: &[&str]) {
    let mut client = ServerReflectionClient::new(StoreChannel::remote(url).unwrap());
    let response = reflect(&mut client, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = response else { panic!("not a list of services: {response:?}") };
    let mut services: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    services.sort_unstable();
    assert_eq!(services, served, "{url}");
    for service in served {
        let pool = descriptors_of(&mut client, service).await;
        assert!(pool.get_service_by_name(service).is_some(), "{url}: {service}");
    }
    let symbol = MessageRequest::FileContainingSymbol("x".repeat(16 << 10));
    let large = ServerReflectionRequest { host: String::new(), message_request: Some(symbol) };
    let mut responses = client.server_reflection_info(tokio_stream::once(large)).await.unwrap().into_inner();
    let response = responses.message().await;
    assert!(matches!(response, Ok(None)), "{url}: {response:?}");
}

/// The details of an error, decoded with reflection alone.
async fn error_details(url: &str) {
    let mut reflection = ServerReflectionClient::new(StoreChannel::remote(url).unwrap());
    let mut messages = MessageServiceClient::new(StoreChannel::remote(url).unwrap());
    let refused = messages.create_message(create("")).await.unwrap_err();
    let status = tonic_types::pb::Status::decode(refused.details()).unwrap();
    let mut seen = Vec::new();
    for detail in status.details {
        let name = detail.type_url.rsplit('/').next().unwrap();
        let pool = descriptors_of(&mut reflection, name).await;
        let descriptor = pool.get_message_by_name(name).unwrap();
        seen.push(DynamicMessage::decode(descriptor, detail.value.as_slice()).unwrap().to_string());
    }
    let seen = seen.join("\n");
    assert!(seen.contains(r#"reason:"FIELD_INVALID""#), "{url}: {seen}");
    assert!(seen.contains(r#"field:"text""#), "{url}: {seen}");
}

async fn all(layout: Layout, database: &TestDatabase) {
    let mut system = System::start(layout, database, Options::default()).await;
    rest(&system).await;
    let served = [
        "grpc.health.v1.Health",
        "mayfly.auth.v1.ApiTokenService",
        "mayfly.config.v1.ConfigService",
        "mayfly.message.v1.MessageService",
    ];
    for url in [&system.store_url, &system.gateway_url] {
        grpc(url).await;
        error_details(url).await;
    }
    reflection(&system.store_url, &served).await;
    let mut served_by_both = [&served[..], &["mayfly.bot.v1.BotService"]].concat();
    served_by_both.sort_unstable();
    reflection(&system.gateway_url, &served_by_both).await;
    grpc_web_calls(&system.gateway_url).await;
    let none = system.configs().get_last_active_app_config(GetLastActiveAppConfigRequest {}).await.unwrap_err();
    assert_eq!(ErrorInfo::from_status(&none).reason, ErrorReason::AppConfigNotFound);
    system.stop().await;
}

on_each_database! {
    async fn all_protocols_reach_the_store_in_one_process(database: TestDatabase) {
        all(Layout::One, &database).await;
    }

    async fn all_protocols_reach_the_store_in_three_processes(database: TestDatabase) {
        all(Layout::Three, &database).await;
    }
}
