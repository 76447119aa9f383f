//! What every `Describe…` of EC2 does: ids, filters, lag, pages.

use jiff::Timestamp;

use crate::aws::call::{Call, Tx};
use crate::aws::error::ApiError;
use crate::aws::filter::Filters;
use crate::aws::ids::well_formed;
use crate::aws::page::{Page, page};

/// What a kind of object is called in errors.
pub(super) struct Noun {
    /// The prefix of its ids.
    pub(super) prefix: &'static str,
    /// In words, as in `The vpc ID 'x' does not exist`.
    pub(super) what: &'static str,
    /// The code for an id that nothing has.
    pub(super) missing: &'static str,
    /// The code for an id that cannot be one.
    pub(super) malformed: &'static str,
}

impl Noun {
    /// The error for an id that is not there.
    pub(super) fn error(&self, id: &str) -> ApiError {
        if well_formed(id, self.prefix) {
            ApiError::not_found(self.missing, self.what, id)
        } else {
            let why = format!("Invalid id: \"{id}\" (expecting \"{}-...\")", self.prefix);
            ApiError::new(self.malformed, why)
        }
    }
}

/// What a describe call asks for.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) ids: Vec<String>,
    pub(super) filters: Filters,
    pub(super) max_results: Option<usize>,
    pub(super) next_token: Option<String>,
}

/// How a kind of object is listed.
pub(super) struct Kind<'a, T> {
    pub(super) noun: &'a Noun,
    /// The filters that the call has, besides those on tags.
    pub(super) filters: &'a [&'a str],
    pub(super) id: fn(&T) -> &str,
    /// When it was made, for the lag of lists; `None` for objects that lists show at once.
    pub(super) created: fn(&T) -> Option<Timestamp>,
}

impl<T> Kind<'_, T> {
    /// One page of the objects that are asked for. `field` gives an object's values for a filter's name.
    pub(super) fn list<'w>(
        &self,
        tx: &Tx,
        call: &Call,
        ask: &Ask,
        objects: impl Iterator<Item = &'w T>,
        field: impl Fn(&T, &str) -> Vec<String>,
    ) -> Result<Page<&'w T>, ApiError>
    where
        T: 'w,
    {
        ask.filters.check(self.filters, true)?;
        let mut found: Vec<&T> = objects.collect();
        found.sort_by(|a, b| (self.id)(a).cmp((self.id)(b)));
        if ask.ids.is_empty() {
            found.retain(|object| (self.created)(object).is_none_or(|created| call.listed(created)));
        } else {
            if let Some(id) = ask.ids.iter().find(|id| !found.iter().any(|object| (self.id)(object) == *id)) {
                return Err(self.noun.error(id));
            }
            found.retain(|object| ask.ids.iter().any(|id| (self.id)(object) == id));
        }
        if !ask.filters.is_empty() {
            found.retain(|object| {
                ask.filters.matches(tx, call, (self.id)(object), |name| field(object, name))
            });
        }
        let key = |object: &&T| (self.id)(object).to_owned();
        page(found, key, call, ask.max_results, ask.next_token.as_deref())
    }
}

/// One value of a filter's field.
#[allow(clippy::needless_pass_by_value, reason = "callers have references and plain values alike")]
pub(super) fn one(value: impl ToString) -> Vec<String> {
    vec![value.to_string()]
}
