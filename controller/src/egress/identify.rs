//! Which bottle is this? Its token says: in the path, or where an API key stands.

use bb_core::provider::CredentialHeader;
use http::HeaderMap;

use crate::ledger::{Identity, LedgerHandle};

/// How every token begins, so that none is taken for a login.
pub(super) const TOKEN_PREFIX: &str = "bb_";

/// What the path says: a token or none, the provider, and the provider's own path with its query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) token: Option<&'a str>,
    pub(super) provider: &'a str,
    pub(super) path: &'a str,
}

/// Who a request is from.
#[derive(Debug)]
pub(super) struct Identified {
    pub(super) identity: Identity,
    /// Whether a header carries the token, so that no login of the client's own is there.
    pub(super) token_in_header: bool,
}

/// Why nobody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unidentified {
    /// No token, or one that is not valid.
    NoToken,
    /// Two tokens of two bottles.
    Mismatch,
}

/// Reads `/PROVIDER/…` or `/b/TOKEN/PROVIDER/…`.
pub(super) fn target(path_and_query: &str) -> Option<Target<'_>> {
    let rest = path_and_query.strip_prefix('/')?;
    let (token, rest) = match rest.strip_prefix("b/") {
        Some(rest) => {
            let (token, rest) = rest.split_once('/').unwrap_or((rest, ""));
            (Some(token), rest)
        }
        None => (None, rest),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (provider, path) = rest.split_at(end);
    Some(Target {
        token,
        provider,
        path,
    })
}

/// Finds the bottle of a request; all tokens in it, in the path and in headers, must agree.
pub(super) fn identify(
    ledger: &LedgerHandle,
    target: &Target<'_>,
    headers: &HeaderMap,
) -> Result<Identified, Unidentified> {
    let mut found: Option<Identity> = None;
    for token in target.token.into_iter().chain(header_tokens(headers)) {
        let identity = ledger.identify(token).ok_or(Unidentified::NoToken)?;
        match &found {
            Some(before) if before.run != identity.run => return Err(Unidentified::Mismatch),
            _ => found = Some(identity),
        }
    }
    Ok(Identified {
        identity: found.ok_or(Unidentified::NoToken)?,
        token_in_header: header_tokens(headers).next().is_some(),
    })
}

/// Returns the tokens of ours that stand where an API key stands.
fn header_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    CredentialHeader::ALL.iter().flat_map(|header| {
        let values = headers.get_all(header.name()).iter();
        values
            .filter_map(|value| header.key_in(value.to_str().ok()?))
            .filter(|key| key.starts_with(TOKEN_PREFIX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_provider_and_what_it_is_asked() {
        let read = |path| target(path).map(|t| (t.token, t.provider, t.path));
        assert_eq!(
            read("/claude/v1/messages?beta=true"),
            Some((None, "claude", "/v1/messages?beta=true"))
        );
        assert_eq!(
            read("/b/bb_x/codex/v1/responses"),
            Some((Some("bb_x"), "codex", "/v1/responses"))
        );
        assert_eq!(read("/claude"), Some((None, "claude", "")));
        assert_eq!(read("/claude?x=/y"), Some((None, "claude", "?x=/y")));
        assert_eq!(read("/b/bb_x"), Some((Some("bb_x"), "", "")));
        assert_eq!(read("/"), Some((None, "", "")));
    }

    #[test]
    fn only_a_token_of_ours_is_one() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", "sk-ant-real".parse().expect("a value"));
        assert_eq!(header_tokens(&headers).next(), None);
        headers.insert("authorization", "Bearer bb_1".parse().expect("a value"));
        headers.append("authorization", "Bearer bb_2".parse().expect("a value"));
        assert!(header_tokens(&headers).eq(["bb_1", "bb_2"]));
    }
}
