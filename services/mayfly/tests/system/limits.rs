//! Limits on untrusted callers: memory, open files, and the service for other callers.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use bytes::Bytes;
use mayfly_testkit::{RawHttp2, TestDatabase, grpc_frame_header};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use crate::harness::{Layout, MAX_MEMORY_MIB, Options, System, connect_from, wait_until};

/// The addresses of an attacker and of a user.
const HOSTILE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
const CREATE: &str = "/mayfly.message.v1.MessageService/CreateMessage";

async fn start(options: Options<'_>) -> System {
    System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await
}

async fn create_as(system: &System, caller: IpAddr) -> u16 {
    let client = reqwest::Client::builder().local_address(caller).build().unwrap();
    let request = client.post(format!("{}/api/v1/create_message", system.gateway_url));
    request.form(&[("text", "hello")]).timeout(Duration::from_secs(10)).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn unfinished_streams_take_little_memory_and_block_no_other_caller() {
    let system = start(Options::default()).await;
    let mut open = Vec::new();
    for url in [&system.store_url, &system.gateway_url, &system.bot_url] {
        let connection = RawHttp2::connect(url, HOSTILE, 1 << 16).await.unwrap();
        for _ in 0..256 {
            let header = grpc_frame_header(4 << 20).freeze();
            let Ok(mut stream) = connection.call(CREATE, header, false).await else { break };
            // Rejected streams fail here.
            stream.request.send_data(Bytes::from(vec![0; 1 << 20]), false).unwrap_or_default();
            open.push(stream);
        }
    }
    for _ in 0..20 {
        assert_eq!(create_as(&system, HONEST).await, 201);
    }
    assert!(system.peak_memory_mib() < MAX_MEMORY_MIB, "{} MiB", system.peak_memory_mib());
}

#[tokio::test]
async fn json_with_unknown_fields_takes_little_memory() {
    let system = start(Options::default()).await;
    let client = reqwest::Client::builder().local_address(HOSTILE).build().unwrap();
    let fields: Vec<_> = (0..40_000).map(|number| format!("\"{number}\":1")).collect();
    let body = format!("{{{},\"text\":\"hello\"}}", fields.join(","));
    // 64 MiB in all.
    let attack = (0..(64 << 20) / body.len()).map(|_| {
        let request = client.post(format!("{}/api/v1/create_message", system.gateway_url));
        let request = request.header("content-type", "application/json").body(body.clone());
        async move { request.send().await.map_or(0, |response| response.status().as_u16()) }
    });
    let statuses = futures_util::future::join_all(attack).await;
    assert!(statuses.contains(&201), "{statuses:?}");
    assert!(system.peak_memory_mib() < MAX_MEMORY_MIB, "{} MiB", system.peak_memory_mib());
}

#[tokio::test]
async fn slow_bodies_of_one_caller_block_no_other_caller() {
    let system = start(Options::default()).await;
    let head = "POST /api/v1/create_message HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 400000\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..180 {
        let mut connection = connect_from(HOSTILE, &system.gateway_url).await;
        connection.write_all(head.as_bytes()).await.unwrap();
        // Connections beyond the caller's limit are rejected and closed.
        connection.write_all(&vec![b' '; 390_000]).await.unwrap_or_default();
        slow.push(connection);
    }
    for _ in 0..20 {
        assert_eq!(create_as(&system, HONEST).await, 201);
    }
    assert!(system.peak_memory_mib() < MAX_MEMORY_MIB, "{} MiB", system.peak_memory_mib());
    // Connections beyond the limit were rejected at once. The others time out.
    let mut statuses = BTreeSet::new();
    for connection in &mut slow {
        let mut status = [0; 12];
        // A rejected connection may be closed before its response is read.
        if connection.read_exact(&mut status).await.is_ok() {
            statuses.insert(String::from_utf8(status[9..].to_vec()).unwrap());
        }
    }
    assert_eq!(statuses, BTreeSet::from(["408".to_owned(), "429".to_owned()]));
}

#[tokio::test]
async fn a_process_without_free_files_serves_open_connections_and_logs_once() {
    let system = start(Options::default()).await;
    let mut served = connect_from(HONEST, &system.gateway_url).await;
    let request = "POST /api/v1/create_message HTTP/1.1\r\nhost: x\r\n\
                   content-type: application/x-www-form-urlencoded\r\ncontent-length: 10\r\n\r\ntext=hell";
    served.write_all(request.as_bytes()).await.unwrap();
    let id = system.processes[0].id();
    let in_use = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let limit = in_use + 10;
    let limited = Command::new("prlimit").args(["--pid", &id, &format!("--nofile={limit}:{limit}")]).status();
    assert!(limited.await.unwrap().success());
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(connect_from(HOSTILE, &system.gateway_url).await);
    }
    wait_until("accepting fails", async || system.processes[0].has_printed("cannot accept connections")).await;
    // Idle connections are closed, so that new ones are accepted.
    let created = tokio::time::timeout(Duration::from_secs(30), create_as(&system, HONEST)).await;
    assert_eq!(created.expect("the connection was not accepted"), 201);
    served.write_all(b"o").await.unwrap();
    let mut status = [0; 12];
    served.read_exact(&mut status).await.expect("a busy connection was closed");
    assert_eq!(&status, b"HTTP/1.1 201");
    let output = system.output();
    let lines = String::from_utf8_lossy(&output).matches("cannot accept connections").count();
    assert!(lines <= 3, "{lines} lines");
}
