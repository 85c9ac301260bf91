//! The tree of places in a document that a dialect wants to hear of.

use super::Field;

/// What is done with the value at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::meter) enum Take {
    /// Only its scalars and its containers' ends are reported.
    Value,
    /// A string is reported with its content, cut at the bound.
    Word,
    /// Its size is reported as it passes: a string's content, a container's raw bytes.
    Flow,
}

/// A place in a document: what is wanted of it, and the places below it.
#[derive(Debug)]
pub(in crate::meter) struct Node {
    pub(super) field: Field,
    pub(super) take: Take,
    pub(super) keys: &'static [(&'static str, Self)],
    pub(super) items: Option<&'static Self>,
}

impl Node {
    /// A place nobody asked for.
    pub(super) const NOWHERE: Self = Self::value(Field::Nothing);

    /// A number, or the mere presence of something.
    pub(in crate::meter) const fn value(field: Field) -> Self {
        Self {
            field,
            take: Take::Value,
            keys: &[],
            items: None,
        }
    }

    /// A short string: a kind, a name, an id.
    pub(in crate::meter) const fn word(field: Field) -> Self {
        Self {
            field,
            take: Take::Word,
            keys: &[],
            items: None,
        }
    }

    /// Something generated whose size counts.
    pub(in crate::meter) const fn flow(field: Field) -> Self {
        Self {
            field,
            take: Take::Flow,
            keys: &[],
            items: None,
        }
    }

    /// An object with the places below it.
    pub(in crate::meter) const fn object(
        field: Field,
        keys: &'static [(&'static str, Self)],
    ) -> Self {
        Self {
            field,
            take: Take::Value,
            keys,
            items: None,
        }
    }

    /// An array of things of one kind.
    pub(in crate::meter) const fn array(field: Field, items: &'static Self) -> Self {
        Self {
            field,
            take: Take::Value,
            keys: &[],
            items: Some(items),
        }
    }

    pub(super) fn child(&'static self, key: &[u8]) -> &'static Self {
        self.keys
            .iter()
            .find(|(name, _)| name.as_bytes().first() == key.first() && name.as_bytes() == key)
            .map_or(&Self::NOWHERE, |(_, node)| node)
    }

    pub(super) fn item(&'static self) -> &'static Self {
        self.items.unwrap_or(&Self::NOWHERE)
    }
}
