//! The agents against the provider, without the rest.

use std::collections::BTreeSet;
use std::path::Path;

use bb_controller::settings::live::known_providers;
use bb_proto::usage::Wire;

use super::agent::{Access, Conversation};
use super::cast::{CAST, Dialect};
use super::stage::settings;
use crate::provider::{Ending, On, Options, Provider};

fn wire(dialect: Dialect) -> Wire {
    match dialect {
        Dialect::Anthropic => Wire::AnthropicMessages,
        Dialect::Openai => Wire::OpenaiResponses,
        Dialect::Gemini => Wire::Gemini,
    }
}

fn root(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Openai => "/v1",
        Dialect::Anthropic | Dialect::Gemini => "",
    }
}

#[tokio::test]
async fn every_agent_is_answered_in_its_dialect_by_its_model() {
    let options = Options {
        key: Some("key".to_owned()),
        ..Options::default()
    };
    let provider = Provider::start_with(options).await.unwrap();
    for part in &CAST {
        let script = crate::provider::Script {
            delay: std::time::Duration::ZERO,
            first_byte_delay: std::time::Duration::ZERO,
            ..part.script()
        };
        provider.set_script_on(On::Model(part.model.to_owned()), script);
        let url = format!("{}{}", provider.url(), root(part.dialect));
        let access = Access::at(&url, "key".to_owned()).unwrap();
        let answer = Conversation::begin(part).ask(&access).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.is_whole), (200, true));
        let calls = provider.calls();
        let call = calls.last().unwrap();
        assert_eq!(call.request.wire, wire(part.dialect));
        assert_eq!(call.request.model, part.model);
        assert!(call.request.streamed);
        let stated = call.answer.stated;
        assert_eq!(stated.output, Some(part.answer.output_tokens));
        assert_eq!(call.answer.ending, Some(Ending::Finished));
        let input: u64 = [stated.input, stated.cache_read, stated.cache_write]
            .into_iter()
            .flatten()
            .sum();
        let bytes = u64::try_from(part.context.begins_at).unwrap();
        assert!(
            input >= bytes / 4 && input < bytes / 3,
            "{input} of {bytes}"
        );
    }
}

#[test]
fn no_two_parts_have_a_name_or_a_model_in_common() {
    let names: BTreeSet<_> = CAST.iter().map(|part| part.name).collect();
    let models: BTreeSet<_> = CAST.iter().map(|part| part.model).collect();
    assert_eq!((names.len(), models.len()), (CAST.len(), CAST.len()));
}

#[test]
fn the_settings_are_taken() {
    let text = settings("http://127.0.0.1:1", Path::new("/tmp/key"));
    let parsed = bb_controller::settings::parse(&text, &known_providers());
    assert!(parsed.is_ok(), "{parsed:?}");
}
