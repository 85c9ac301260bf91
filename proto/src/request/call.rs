//! Parameters of what a sidecar asks that meters calls itself.

use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{BottleName, CallId, ProviderKey};
use crate::reply::Ending;
use crate::usage::{Usage, Wire};

/// The longest name of a model, in bytes.
pub const MODEL_BYTES_MAX: usize = 256;
/// The most tokens or bytes of one call that can be stated: 2^53.
pub const STATED_MAX: u64 = crate::units::TOKENS_MAX;

/// Parameters of `call.reserve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallReserve {
    /// Its id, a new UUID: the same id again gives the same answer.
    pub call: CallId,
    /// Whose call.
    pub bottle: BottleName,
    /// To which provider.
    pub provider: ProviderKey,
    /// The dialect; absent: the provider's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<Wire>,
    /// The model asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The bytes of the request's body, of which the tokens are estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<u64>,
    /// The tokens of its input, where they are known; one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// The most output tokens it asks for, of each choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_max: Option<u64>,
    /// How many choices it asks for; absent: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<u32>,
    /// The longest it waits for room, in milliseconds, where that is less than the settings' `wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// Parameters of `call.flowed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFlowed {
    /// The call.
    pub call: CallId,
    /// What the provider stated so far.
    #[serde(
        default,
        deserialize_with = "asked_usage",
        skip_serializing_if = "Option::is_none"
    )]
    pub usage: Option<Usage>,
    /// The bytes of generated text that flowed so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
}

/// Parameters of `call.settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSettle {
    /// The call.
    pub call: CallId,
    /// What the provider stated; absent: the last that `call.flowed` said.
    #[serde(
        default,
        deserialize_with = "asked_usage",
        skip_serializing_if = "Option::is_none"
    )]
    pub usage: Option<Usage>,
    /// The bytes of generated text that flowed in all; absent: as `call.flowed` said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// The answer did not come to its end: what is missing is estimated.
    #[serde(default)]
    pub estimated: bool,
    /// How it ended; absent: `complete`, or for an estimate `cut` where it was to be cut, else
    /// `upstream_gone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// The provider's status, where it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// Parameters of `call.void`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallVoid {
    /// The call.
    pub call: CallId,
    /// The provider's status, where it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// Reads usage in a request, where unknown fields are refused and what is left out is not stated.
pub(super) fn asked_usage<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Usage>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(default)]
        input: Option<u64>,
        #[serde(default)]
        cache_read: Option<u64>,
        #[serde(default)]
        cache_write: Option<u64>,
        #[serde(default)]
        output: Option<u64>,
        #[serde(default)]
        reasoning: Option<u64>,
    }
    let asked = Option::<Asked>::deserialize(deserializer)?;
    Ok(asked.map(|asked| Usage {
        input: asked.input,
        cache_read: asked.cache_read,
        cache_write: asked.cache_write,
        output: asked.output,
        reasoning: asked.reasoning,
    }))
}
