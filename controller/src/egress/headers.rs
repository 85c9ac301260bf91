//! Headers on their way through: hop-by-hop ones end here, credentials are exchanged; those in a
//! query end here too.

use std::borrow::Cow;

use bb_core::provider::CredentialHeader;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::identify::TOKEN_PREFIX;
use crate::settings::providers::Key;

/// Headers that are about one connection, not about the message.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Takes away what is about this connection only, named or not.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let wants_trailers = headers
        .get(header::TE)
        .is_some_and(|te| te.as_bytes() == b"trailers");
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Makes a client's headers those that the provider gets.
///
/// Fails where the provider's key cannot be sent, or there is none and the client sent only ours.
pub(super) fn towards_upstream(
    headers: &mut HeaderMap,
    key: &Key,
    credential: CredentialHeader,
    token_in_header: bool,
) -> Result<(), NoKey> {
    strip_hop_by_hop(headers);
    headers.remove(header::HOST);
    headers.remove(header::EXPECT);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove("x-http-method-override");
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    match key {
        Key::Passthrough if token_in_header => return Err(NoKey),
        Key::Passthrough => {}
        Key::Missing(_) => return Err(NoKey),
        Key::Ours(secret) => {
            for header in CredentialHeader::ALL {
                headers.remove(header.name());
            }
            let value = credential.value(secret.expose());
            let mut value = HeaderValue::from_str(&value).map_err(|_| NoKey)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(credential.name()), value);
        }
    }
    Ok(())
}

/// Takes the keys out of a path's query that the provider must not get: tokens of ours, and where
/// the controller puts its own key in, any other.
pub(super) fn without_keys<'a>(path_and_query: &'a str, key: &Key) -> Cow<'a, str> {
    let Some((path, query)) = path_and_query.split_once('?') else {
        return Cow::Borrowed(path_and_query);
    };
    let goes = |pair: &str| {
        let key_given = pair.strip_prefix("key=");
        key_given
            .is_some_and(|given| matches!(key, Key::Ours(_)) || given.starts_with(TOKEN_PREFIX))
    };
    if !query.split('&').any(goes) {
        return Cow::Borrowed(path_and_query);
    }
    let left: Vec<&str> = query.split('&').filter(|pair| !goes(pair)).collect();
    Cow::Owned(match left.as_slice() {
        [] => path.to_owned(),
        pairs => format!("{path}?{}", pairs.join("&")),
    })
}

/// There is no credential that the provider would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoKey;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_names_goes_with_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-kept", "1"),
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["te", "x-kept"]);
    }

    #[test]
    fn a_key_in_a_query_stays_only_where_it_is_the_clients_own_login() {
        let passed = |path| without_keys(path, &Key::Passthrough).into_owned();
        assert_eq!(passed("/m?key=AIza&alt=sse"), "/m?key=AIza&alt=sse");
        assert_eq!(passed("/m?key=bb_1&alt=sse"), "/m?alt=sse");
        assert_eq!(passed("/m?key=bb_1"), "/m");
        assert_eq!(passed("/m?keys=bb_1&x=key=bb_1"), "/m?keys=bb_1&x=key=bb_1");
    }

    #[test]
    fn a_token_of_ours_never_goes_on_to_a_provider() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("bb_1"));
        let passed = towards_upstream(
            &mut headers,
            &Key::Passthrough,
            CredentialHeader::XApiKey,
            true,
        );
        assert_eq!(passed, Err(NoKey));
    }
}
