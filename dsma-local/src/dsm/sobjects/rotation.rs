//! When a rotation policy rotates, and the task that does it.

use std::sync::Arc;

use dsma_api::{ApiError, KeyFacts, Principal, RotationPolicy, SobjectDescriptor, SobjectRequest, SobjectState, Time, text};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::rotate;
use crate::dsm::Dsm;
use crate::store::{ActionType, Audit, SobjectRow, Store};

const DAY: i64 = 86_400;
/// 31 December 9999, 23:59:59: where DSM stops counting.
const END: Time = Time(253_402_300_799);

/// Refuses a policy for what DSM cannot make anew, and one that this version does not follow.
pub(super) fn rotatable(policy: &RotationPolicy, can_be_generated: bool) -> Result<(), ApiError> {
    if policy.rotate_copied_keys.as_ref().is_some_and(|which| which != "all_external") {
        return Err(ApiError::bad_request("rotate_copied_keys of this kind is not supported by this version"));
    }
    if !can_be_generated {
        return Err(ApiError::bad_request("A rotation policy is not possible: DSM cannot generate sobjects of this kind"));
    }
    Ok(())
}

/// The first rotation after `now`; `None` for the empty policy, which ends rotation.
pub(super) fn next(policy: &RotationPolicy, now: Time) -> Result<Option<Time>, ApiError> {
    let invalid = || ApiError::bad_request("Invalid rotation_policy: one of interval_days and interval_months, 1 to 36500, is expected");
    let begin = policy.effective_at.unwrap_or(now);
    let step = match (policy.interval_days, policy.interval_months) {
        (None, None) if *policy == RotationPolicy::default() => return Ok(None),
        (Some(days @ 1..=36500), None) => Step::Days(i64::from(days)),
        (None, Some(months @ 1..=36500)) => Step::Months(i64::from(months)),
        _ => return Err(invalid()),
    };
    if policy.effective_at.is_some() && begin > now {
        return Ok(Some(begin));
    }
    Ok(Some(step.after(begin, now).min(END)))
}

enum Step {
    Days(i64),
    Months(i64),
}

impl Step {
    /// The first of `begin + n steps` that lies after `now`.
    fn after(&self, begin: Time, now: Time) -> Time {
        match self {
            Self::Days(days) => {
                let step = days * DAY;
                Time(begin.0 + ((now.0 - begin.0) / step + 1) * step)
            }
            Self::Months(months) => {
                // The step that ends in the month of `now`, or the one after it.
                let first = (month_of(now) - month_of(begin)) / months;
                (first..).map(|steps| plus_months(begin, steps * months)).find(|time| *time > now).unwrap_or(END)
            }
        }
    }
}

/// Months since the year 0.
fn month_of(time: Time) -> i64 {
    let date = date(time);
    i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1
}

/// The same day some months later, or the last of that month.
fn plus_months(time: Time, months: i64) -> Time {
    let day = date(time);
    let month = month_of(time) + months;
    let later = || {
        let year = i32::try_from(month / 12).ok()?;
        let name = time::Month::try_from(u8::try_from(month % 12).ok()? + 1).ok()?;
        Date::from_calendar_date(year, name, day.day().min(name.length(year))).ok()
    };
    later().map_or(END, |later| Time(time.0 + (later - day).whole_seconds()))
}

fn date(time: Time) -> Date {
    OffsetDateTime::from_unix_timestamp(time.0).unwrap_or(OffsetDateTime::UNIX_EPOCH).date()
}

/// Rotates what is due, in all accounts. One failure is logged and does not keep the others waiting.
pub(crate) fn run_due(dsm: &Arc<Dsm>) -> Result<(), crate::error::Error> {
    for (acct_id, kid) in dsm.store.due_rotations(Time::now())? {
        let store = dsm.store.in_account(acct_id);
        if let Err(error) = run_one(&store, kid) {
            if error.message == rotate::CHANGED {
                // It stays due, and the next sweep tries again.
                tracing::info!("sobject {kid} was changed while it rotated");
                continue;
            }
            tracing::error!("sobject {kid} cannot be rotated as its policy says: {error}");
            postpone(&store, kid)?;
        }
    }
    Ok(())
}

fn run_one(store: &Store, kid: Uuid) -> Result<(), ApiError> {
    let no_sobject = || ApiError::not_found(text::NO_SOBJECT);
    let old = store.sobject(&SobjectDescriptor::Kid(kid))?.ok_or_else(no_sobject)?;
    if KeyFacts::from(&old.sobject).state_at(Time::now()) != SobjectState::Active {
        return Err(ApiError::bad_request("it is not active"));
    }
    let policy = old.sobject.rotation_policy.clone().unwrap_or_default();
    let new = rotate::successor(Principal::System, store.acct_id(), &old, SobjectRequest::default())?;
    store.change_sobjects(|sobjects| {
        let mut now = sobjects.find(&SobjectDescriptor::Kid(kid))?.ok_or_else(no_sobject)?;
        rotate::unchanged(&old, &now)?;
        let new = rotate::turn(sobjects, &mut now, new, policy.deactivate_rotated_key == Some(true))?;
        Ok(((), by_policy(store, &new, "Rotated by its policy")))
    })
}

/// Leaves out this turn; a sobject that is not active any more has none left.
fn postpone(store: &Store, kid: Uuid) -> Result<(), crate::error::Error> {
    store.change_sobjects(|sobjects| {
        let row = sobjects.find(&SobjectDescriptor::Kid(kid))?;
        let Some(mut row) = row else {
            return Ok(((), nothing(store, kid)));
        };
        let policy = row.sobject.rotation_policy.clone().unwrap_or_default();
        let active = KeyFacts::from(&row.sobject).state_at(Time::now()) == SobjectState::Active;
        row.sobject.scheduled_rotation = if active { next(&policy, Time::now()).ok().flatten() } else { None };
        sobjects.replace(&row)?;
        Ok(((), by_policy(store, &row, "Left out a rotation of")))
    })
}

fn nothing(store: &Store, kid: Uuid) -> Audit {
    let (action_type, message) = (ActionType::Administrative, "Left out the rotation of a sobject that is gone".to_owned());
    let (actor, time) = (Principal::System, Time::now());
    Audit { action_type, acct_id: store.acct_id(), actor, object_id: kid, group_id: None, client_ip: None, message, time }
}

fn by_policy(store: &Store, row: &SobjectRow, verb: &str) -> Audit {
    let message = format!("{verb} sobject \"{}\"", row.sobject.name.as_deref().unwrap_or_default());
    Audit { group_id: Some(row.group_id), message, ..nothing(store, row.kid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn days_and_months_are_counted_from_the_beginning() {
        let days = |days, begin: Option<&str>| RotationPolicy {
            interval_days: Some(days),
            effective_at: begin.map(time),
            ..RotationPolicy::default()
        };
        let months = |months, begin: &str| RotationPolicy {
            interval_months: Some(months),
            effective_at: Some(time(begin)),
            ..RotationPolicy::default()
        };
        let now = time("20260301T120000Z");
        for (policy, expected) in [
            (days(1, None), "20260302T120000Z"),
            (days(10, Some("20260301T120001Z")), "20260301T120001Z"),
            (days(10, Some("20260301T120000Z")), "20260311T120000Z"),
            (days(10, Some("20260215T000000Z")), "20260307T000000Z"),
            (months(1, "20260131T000000Z"), "20260331T000000Z"),
            (months(1, "20251230T130000Z"), "20260330T130000Z"),
            (months(12, "20240229T000000Z"), "20270228T000000Z"),
            (months(36500, "20240229T000000Z"), "50650831T000000Z"),
        ] {
            let next = next(&policy, now).unwrap().unwrap();
            if policy.interval_months == Some(36500) {
                assert!(next > now && next <= END);
                continue;
            }
            assert_eq!(next.to_string(), expected, "{policy:?}");
        }
        assert_eq!(next(&RotationPolicy::default(), now).unwrap(), None);
        for bad in [days(0, None), RotationPolicy { interval_months: Some(1), ..days(1, None) }] {
            assert_eq!(next(&bad, now).unwrap_err().status, 400);
        }
    }
}
