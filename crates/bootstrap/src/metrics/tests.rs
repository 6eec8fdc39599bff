use prometheus_client::metrics::counter::Counter;

use super::*;

crate::label_values! {
    enum Fruit: "fruit" {
        Apple = "apple",
        Pear = "pear",
    }
}

#[tokio::test]
async fn both_formats_have_the_samples_and_each_describes_counters_in_its_way() {
    let mut metrics = Metrics::new("1.2.3");
    let (eaten, fruits) = (Counter::<u64>::default(), Counters::<Fruit>::default());
    metrics.register("mayfly_eaten", "What was eaten", eaten.clone());
    metrics.register("mayfly_fruits", "Fruits", fruits.clone());
    metrics.optional_gauge("mayfly_absent", "Nothing", || None);
    eaten.inc();
    fruits.inc_by(Fruit::Pear, 2);
    let metrics = Arc::new(metrics);
    let openmetrics = Arc::clone(&metrics).scrape(Format::OpenMetrics).await.unwrap();
    let text = metrics.scrape(Format::Text).await.unwrap();
    for format in [&openmetrics, &text] {
        let samples = [
            "mayfly_eaten_total 1\n",
            "mayfly_fruits_total{fruit=\"apple\"} 0\n",
            "mayfly_fruits_total{fruit=\"pear\"} 2\n",
            "mayfly_build_info{version=\"1.2.3\"} 1.0\n",
            "process_threads ",
        ];
        for sample in samples {
            assert!(format.contains(sample), "{sample}: {format}");
        }
        assert!(!format.contains("mayfly_absent"), "{format}");
    }
    assert!(openmetrics.contains("# TYPE mayfly_eaten counter\n") && openmetrics.ends_with("# EOF\n"), "{openmetrics}");
    assert!(text.contains("# HELP mayfly_eaten_total What was eaten.\n# TYPE mayfly_eaten_total counter\n"), "{text}");
    assert!(text.contains("# TYPE process_cpu_seconds_total counter\n") && !text.contains("EOF"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_delays_a_scrape_by_two_seconds_and_the_next_one_not_at_all() {
    let mut metrics = Metrics::new("1");
    metrics.probe(std::future::pending);
    let began = tokio::time::Instant::now();
    metrics.run_probes().await;
    metrics.run_probes().await;
    assert_eq!(began.elapsed(), PROBE_TIMEOUT);
}

#[test]
fn prometheus_gets_openmetrics_and_others_get_text() {
    let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
    for other in ["", "*/*", "text/plain"] {
        assert_eq!(Format::accepted(other), Format::Text);
    }
}

mod requests {
    use std::{convert::Infallible, future::ready};

    use http::{HeaderMap, Request, Response, StatusCode};
    use tower::{Service as _, service_fn};

    use super::*;

    fn text(metrics: Metrics) -> String {
        to_text(&metrics.to_openmetrics().unwrap())
    }

    #[tokio::test]
    async fn a_call_counts_by_its_rpc_and_code_and_unknown_ones_count_as_one() {
        let rpcs = RpcMetrics::new(["/a.B/Known", "/a.B/Stream"], |path| path.ends_with("/Stream"));
        let mut service = rpcs.measure(service_fn(|request: Request<()>| {
            let mut response = Response::new(());
            if let Some(status) = request.headers().get("wanted") {
                response.headers_mut().insert("grpc-status", status.clone());
            }
            ready(Ok::<_, Infallible>(response))
        }));
        for (path, status) in [
            ("/a.B/Known", None),
            ("/a.B/Known", Some("5")),
            ("/a.B/Known", Some("5")),
            ("/a.B/Stream", None),
            ("/a.B/Canary", Some("12")),
            ("/a.B/Canary2", Some("12")),
            ("/a.B/Known", Some("99")),
            ("/a.B/Known", Some("canary")),
        ] {
            let mut request = Request::get(path);
            if let Some(status) = status {
                request = request.header("wanted", status);
            }
            service.call(request.body(()).unwrap()).await.unwrap();
        }
        let mut metrics = Metrics::new("1");
        rpcs.register(&mut metrics, "mayfly_test");
        let text = text(metrics);
        for sample in [
            "mayfly_test_rpcs_total{rpc=\"a.B/Known\",code=\"OK\"} 1\n",
            "mayfly_test_rpcs_total{rpc=\"a.B/Known\",code=\"NOT_FOUND\"} 2\n",
            "mayfly_test_rpcs_total{rpc=\"a.B/Known\",code=\"UNKNOWN\"} 2\n",
            "mayfly_test_rpcs_total{rpc=\"a.B/Stream\",code=\"OK\"} 1\n",
            "mayfly_test_rpcs_total{rpc=\"other\",code=\"UNIMPLEMENTED\"} 2\n",
            "mayfly_test_rpc_duration_seconds_count{rpc=\"a.B/Known\"} 5\n",
        ] {
            assert!(text.contains(sample), "{sample}: {text}");
        }
        assert!(!text.contains("anary") && !text.contains("duration_seconds_count{rpc=\"a.B/Stream\"}"), "{text}");
    }

    #[test]
    fn a_request_counts_by_its_route_and_status() {
        let http = HttpMetrics::default();
        for (template, status) in [(Some("/m/{id}"), 200), (Some("/m/{id}"), 200), (None, 404), (None, 418)] {
            http.record(template, StatusCode::from_u16(status).unwrap(), Duration::from_millis(3));
        }
        let mut metrics = Metrics::new("1");
        http.register(&mut metrics, "mayfly_test");
        let text = text(metrics);
        for sample in [
            "mayfly_test_http_requests_total{route=\"/m/{id}\",code=\"200\"} 2\n",
            "mayfly_test_http_requests_total{route=\"other\",code=\"404\"} 1\n",
            "mayfly_test_http_requests_total{route=\"other\",code=\"other\"} 1\n",
            "mayfly_test_http_request_duration_seconds_bucket{le=\"0.005\",route=\"/m/{id}\"} 2\n",
            "mayfly_test_http_request_duration_seconds_bucket{le=\"0.0025\",route=\"/m/{id}\"} 0\n",
        ] {
            assert!(text.contains(sample), "{sample}: {text}");
        }
    }

    #[test]
    #[ignore = "prints how long counting takes; run it in a release build"]
    fn the_cost_of_counting_a_request() {
        const CALLS: u32 = 1_000_000;
        let (http, rpcs) = (HttpMetrics::default(), RpcMetrics::new(["/a.B/C"; 20], |_| false));
        for route in 0..24 {
            http.record(Some(&format!("/api/v1/route_{route}/{{id}}")), StatusCode::OK, Duration::ZERO);
        }
        let headers = HeaderMap::new();
        let began = Instant::now();
        for _ in 0..CALLS {
            let began = Instant::now();
            http.record(Some("/api/v1/route_23/{id}"), StatusCode::CREATED, began.elapsed());
        }
        let of_http = began.elapsed() / CALLS;
        let began = Instant::now();
        for _ in 0..CALLS {
            let began = Instant::now();
            rpcs.record("/a.B/X", StatusCode::OK, &headers, began.elapsed());
        }
        println!("HTTP {of_http:?}, gRPC {:?} for each request", began.elapsed() / CALLS);
    }
}
