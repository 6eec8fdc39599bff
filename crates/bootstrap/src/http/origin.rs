//! Which web pages may send requests to this server: protection against DNS rebinding and cross-site request forgery.
//!
//! A browser on this machine or network can reach listeners that an attacker cannot. Scripts cannot forge the headers
//! that show what a page in that browser does. `Host` has the name under which the page reached this server, which
//! reveals a name that an attacker points at this address (DNS rebinding). `Sec-Fetch-Site` and `Origin` show which
//! site the page comes from. Other clients send neither of the two, and are not restricted.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, Request, Uri, Version, header, uri::Authority};

use super::OverTls;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Suffixes of names that cannot be registered on the internet: RFC 6761, RFC 6762, RFC 8375, and `.internal`, which
/// ICANN reserves. So no attacker can point such a name at this server.
const PRIVATE_SUFFIXES: [&str; 4] = [".localhost", ".local", ".home.arpa", ".internal"];

/// Settings for the host names of a server.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct HostSettings {
    /// Host names under which browsers reach this process, separated by commas. Always allowed are IP addresses,
    /// localhost, names without a dot, names that end with .local, .internal or .home.arpa, and the host of
    /// --public-url. With --trusted-proxies and without this setting, the proxies decide which names lead here, and all
    /// are allowed.
    #[arg(
        long,
        env = "MAYFLY_ALLOWED_HOSTS",
        value_delimiter = ',',
        value_name = "HOSTS",
        value_parser = parse_host_name
    )]
    pub allowed_hosts: Vec<String>,
}

/// Which requests of browsers a server accepts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OriginPolicy {
    /// Allowed host names in lower case, besides those that are always allowed.
    hosts: Arc<[String]>,
    allows_any_host: bool,
    /// Whether `X-Forwarded-Host` is trusted, and TLS connections are those of proxies.
    is_behind_proxies: bool,
}

/// Why a request is rejected. The text is for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// The request names a host that is not allowed.
    #[error("this host name is not allowed here: name it in --allowed-hosts or --public-url")]
    Host,
    /// A page of another site sent the request.
    #[error("pages of other sites may not send requests here")]
    CrossSite,
}

impl OriginPolicy {
    /// The policy of a server behind `trusted_proxies` reverse proxies, which browsers reach under `public_hosts` too.
    #[must_use]
    pub fn new<'a>(
        settings: &'a HostSettings,
        public_hosts: impl IntoIterator<Item = &'a str>,
        trusted_proxies: usize,
    ) -> Self {
        let named = settings.allowed_hosts.iter().map(String::as_str).chain(public_hosts);
        Self {
            hosts: named.map(normalized).collect(),
            allows_any_host: trusted_proxies > 0 && settings.allowed_hosts.is_empty(),
            is_behind_proxies: trusted_proxies > 0,
        }
    }

    /// Checks the host name of a request.
    ///
    /// Ignores requests over TLS of this server: the browser compared the name with the certificate. Ignores HTTP/2
    /// without TLS, which browsers do not use.
    ///
    /// # Errors
    ///
    /// [`OriginError::Host`]
    pub fn check_host<B>(&self, request: &Request<B>) -> Result<(), OriginError> {
        let (uri, headers) = (request.uri(), request.headers());
        let is_unnamed = uri.authority().is_none() && !headers.contains_key(header::HOST);
        let is_verified = if is_over_tls(request) {
            // The TLS of a proxy says nothing about the browser's.
            !self.is_behind_proxies
        } else {
            request.version() >= Version::HTTP_2
        };
        if self.allows_any_host || is_verified || is_unnamed {
            return Ok(());
        }
        let is_allowed = host(uri, headers).is_some_and(|host| self.is_allowed_host(&host));
        if is_allowed { Ok(()) } else { Err(OriginError::Host) }
    }

    /// Checks that no page of another site sent the request. Not for documents, to which every site may link.
    ///
    /// Browsers send `Sec-Fetch-Site` only to HTTPS origins and to their own machine. Elsewhere `Origin` decides.
    /// Browsers omit it from GET and HEAD, whose responses another site cannot read.
    ///
    /// # Errors
    ///
    /// [`OriginError::CrossSite`]
    pub fn check_site<B>(&self, request: &Request<B>) -> Result<(), OriginError> {
        let headers = request.headers();
        let is_own_site = if headers.contains_key(SEC_FETCH_SITE) {
            matches!(single_value(headers, &SEC_FETCH_SITE), Some("same-origin" | "none"))
        } else {
            !headers.contains_key(header::ORIGIN) || self.is_same_origin(request)
        };
        if is_own_site { Ok(()) } else { Err(OriginError::CrossSite) }
    }

    fn is_allowed_host(&self, host: &Authority) -> bool {
        let name = normalized(host.host());
        let is_plain = !host.as_str().contains('@');
        is_plain && (is_private_host(&name) || self.hosts.contains(&name))
    }

    fn is_same_origin<B>(&self, request: &Request<B>) -> bool {
        let (uri, headers) = (request.uri(), request.headers());
        let origin = single_value(headers, &header::ORIGIN).and_then(|origin| origin.parse::<Uri>().ok());
        let Some((scheme, origin)) = origin.as_ref().and_then(|origin| origin.scheme_str().zip(origin.authority()))
        else {
            return false;
        };
        // Anybody on the network can change a page that came without TLS.
        if is_over_tls(request) && !self.is_behind_proxies && scheme != "https" {
            return false;
        }
        let forwarded = || {
            let host = single_value(headers, &X_FORWARDED_HOST).filter(|_| self.is_behind_proxies)?;
            host.rsplit(',').next()?.trim().parse::<Authority>().ok()
        };
        let is_same = |host: &Authority| {
            let default_port = if scheme == "https" { 443 } else { 80 };
            let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
            normalized(host.host()) == normalized(origin.host()) && port(host) == port(origin)
        };
        host(uri, headers).iter().chain(&forwarded()).any(is_same) || self.hosts.contains(&normalized(origin.host()))
    }
}

fn is_over_tls<B>(request: &Request<B>) -> bool {
    request.extensions().get::<OverTls>().is_some()
}

/// Returns `true` if no attacker on the internet can point this name at this server.
fn is_private_host(name: &str) -> bool {
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_address = literal.parse::<std::net::IpAddr>().is_ok();
    is_address || !name.is_empty() && (!name.contains('.') || PRIVATE_SUFFIXES.iter().any(|end| name.ends_with(end)))
}

fn normalized(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The host and port of a request: the authority of its target, or its only `Host` header.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    uri.authority().cloned().or_else(|| single_value(headers, &header::HOST)?.parse().ok())
}

/// The value of a header that occurs exactly once.
fn single_value<'headers>(headers: &'headers HeaderMap, name: &HeaderName) -> Option<&'headers str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

/// Parses a host name without scheme, port or path, for clap.
///
/// # Errors
///
/// Why it is none.
pub fn parse_host_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    let authority: Authority =
        name.parse().map_err(|_| "must be a host name, such as mayfly.example.org".to_owned())?;
    if authority.host() != name {
        return Err("must be a host name alone, without scheme, port or path".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &[&str], public: &[&str], proxies: usize) -> OriginPolicy {
        let settings = HostSettings { allowed_hosts: allowed.iter().map(|&name| name.to_owned()).collect() };
        OriginPolicy::new(&settings, public.iter().copied(), proxies)
    }

    fn request(version: Version, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let request = Request::builder().version(version).uri(uri);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
    }

    fn over_tls(mut request: Request<()>) -> Request<()> {
        request.extensions_mut().insert(OverTls);
        request
    }

    fn allows_host(policy: &OriginPolicy, host: &str) -> bool {
        policy.check_host(&request(Version::HTTP_11, "/", &[("host", host)])).is_ok()
    }

    fn allows_site(policy: &OriginPolicy, pairs: &[(&str, &str)]) -> bool {
        policy.check_site(&request(Version::HTTP_11, "/", pairs)).is_ok()
    }

    #[test]
    fn names_that_no_attacker_can_register_are_allowed() {
        let policy = policy(&[], &[], 0);
        for host in [
            "127.0.0.1:8001",
            "10.0.0.7",
            "[::1]:8001",
            "[fe80::1]",
            "localhost:8001",
            "LOCALHOST",
            "localhost.:1",
            "nas:8001",
            "app.localhost",
            "mayfly.local",
            "mayfly.corp.internal",
            "mayfly.home.arpa",
        ] {
            assert!(allows_host(&policy, host), "{host}");
        }
    }

    #[test]
    fn names_that_an_attacker_can_register_are_rejected() {
        let policy = policy(&["mayfly.example.org"], &["public.example.org"], 0);
        for host in [
            "evil.example",
            "evil.example.",
            "evil.example:8001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "mayfly.example.org.evil.example",
            "0x7f.1",
            "a@localhost",
            "",
        ] {
            assert!(!allows_host(&policy, host), "{host}");
        }
        let twice = request(Version::HTTP_11, "/", &[("host", "localhost"), ("host", "localhost")]);
        assert!(policy.check_host(&twice).is_err());
        let in_the_target = request(Version::HTTP_11, "http://evil.example/", &[("host", "localhost")]);
        assert!(policy.check_host(&in_the_target).is_err());
    }

    #[test]
    fn configured_hosts_and_requests_of_other_clients_are_allowed() {
        let policy = policy(&["Mayfly.Example.org"], &["public.example.org"], 0);
        assert!(allows_host(&policy, "mayfly.example.org:8001") && allows_host(&policy, "PUBLIC.example.org"));
        assert!(policy.check_host(&request(Version::HTTP_10, "/", &[])).is_ok());
        assert!(policy.check_host(&request(Version::HTTP_2, "http://store.example.org:50051/", &[])).is_ok());
    }

    #[test]
    fn over_tls_the_certificate_decides_about_names_unless_the_tls_is_a_proxys() {
        let url = "https://mayfly.example.org/";
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let request = over_tls(request(version, url, &[("host", "mayfly.example.org")]));
            assert!(policy(&[], &[], 0).check_host(&request).is_ok());
            assert!(policy(&["other.example.org"], &[], 1).check_host(&request).is_err());
            assert!(policy(&["mayfly.example.org"], &[], 1).check_host(&request).is_ok());
        }
    }

    #[test]
    fn over_tls_a_page_without_tls_is_another_site_unless_the_tls_is_a_proxys() {
        let from = |scheme: &str, proxies| {
            let origin = format!("{scheme}://mayfly.example.org");
            let pairs = [("host", "mayfly.example.org"), ("origin", origin.as_str())];
            policy(&[], &[], proxies).check_site(&over_tls(request(Version::HTTP_11, "/", &pairs))).is_ok()
        };
        assert!(from("https", 0) && from("https", 1) && from("http", 1));
        assert!(!from("http", 0));
    }

    #[test]
    fn behind_proxies_all_names_are_allowed_unless_names_are_configured() {
        assert!(allows_host(&policy(&[], &[], 1), "mayfly.example.org"));
        assert!(!allows_host(&policy(&["other.example.org"], &[], 1), "mayfly.example.org"));
    }

    #[test]
    fn pages_of_this_site_and_other_clients_may_send_requests() {
        let direct = policy(&[], &["mayfly.example.org"], 0);
        let host = ("host", "10.0.0.7:8001");
        for pairs in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            // A proxy that terminates TLS and sets `Host` to its upstream.
            &[("sec-fetch-site", "same-origin"), ("origin", "https://any.example.org")],
            &[("origin", "http://10.0.0.7:8001")],
            &[("origin", "https://mayfly.example.org")],
        ] {
            assert!(allows_site(&direct, &[&[host], pairs].concat()), "{pairs:?}");
        }
        assert!(allows_site(&direct, &[("host", "nas:80"), ("origin", "http://NAS")]));
        let forwarded = [host, ("origin", "https://m.example"), ("x-forwarded-host", "m.example")];
        assert!(allows_site(&policy(&[], &[], 1), &forwarded));
        assert!(!allows_site(&direct, &forwarded), "the header is untrusted");
    }

    #[test]
    fn pages_of_other_sites_may_not_send_requests() {
        let policy = policy(&[], &["mayfly.example.org"], 0);
        for pairs in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "unknown")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://10.0.0.7:8001")],
            &[("origin", "https://evil.example")],
            &[("origin", "http://10.0.0.7:8000")],
            &[("origin", "https://10.0.0.7")],
            &[("origin", "http://10.0.0.7:8001.evil.example")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "http://10.0.0.7:8001"), ("origin", "http://10.0.0.7:8001")],
        ] {
            assert!(!allows_site(&policy, &[&[("host", "10.0.0.7:8001")], pairs].concat()), "{pairs:?}");
        }
    }

    #[test]
    fn a_setting_is_a_host_name_without_scheme_port_or_path() {
        for name in ["mayfly.example.org", " nas ", "10.0.0.7", "[::1]"] {
            assert!(parse_host_name(name).is_ok(), "{name}");
        }
        for name in
            ["", "https://mayfly.example.org", "mayfly.example.org:8001", "mayfly.example.org/m", "a b", "u@host"]
        {
            assert!(parse_host_name(name).is_err(), "{name}");
        }
    }
}
