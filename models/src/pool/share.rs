//! Who goes first: classes of urgency, and fair shares of tenants within a class.
//!
//! Every tenant of a class has a counter of what it was served, and the one with the least is next. A tenant that comes, or comes back,
//! starts level with the least served of those at work: what it did not use before is no credit. This is the virtual token counter of Sheng
//! and others (Fairness in Serving Large Language Models, OSDI 2024).

use std::collections::BTreeMap;

/// How urgent a request is. A more urgent one goes first; the others keep a part of every step, so that none stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// A program works through many of them.
    Batch,
    /// Nobody waits for it: documents that are taken in.
    Ingest,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Batch, Self::Ingest];
}

/// Whose request it is, and how urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Standing {
    pub(super) priority: Priority,
    pub(super) tenant: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tenant {
    served: u64,
    under_way: usize,
}

/// What each tenant of each class was served.
#[derive(Debug, Default)]
pub(super) struct Shares(BTreeMap<Standing, Tenant>);

impl Shares {
    /// A request begins.
    pub(super) fn enter(&mut self, standing: Standing) {
        let least = self.least(standing.priority).unwrap_or_default();
        let tenant = self.0.entry(standing).or_default();
        if tenant.under_way == 0 {
            tenant.served = tenant.served.max(least);
        }
        tenant.under_way += 1;
    }

    /// A request has ended. What would be lifted to the least anyway is forgotten.
    pub(super) fn leave(&mut self, standing: Standing) {
        if let Some(tenant) = self.0.get_mut(&standing) {
            tenant.under_way = tenant.under_way.saturating_sub(1);
        }
        let least = self.least(standing.priority);
        self.0.retain(|other, tenant| {
            let above = least.is_some_and(|least| tenant.served > least);
            other.priority != standing.priority || tenant.under_way > 0 || above
        });
    }

    /// Counts what a tenant was served.
    pub(super) fn charge(&mut self, standing: Standing, cost: usize) {
        if let Some(tenant) = self.0.get_mut(&standing) {
            tenant.served = tenant.served.saturating_add(cost as u64);
        }
    }

    /// What a tenant was served.
    pub(super) fn served(&self, standing: Standing) -> u64 {
        self.0.get(&standing).map_or(0, |tenant| tenant.served)
    }

    /// How many more requests may begin where each tenant of a class may have `most` under way, and everything as urgent or more four times
    /// as many: enough to see who waits, and to leave room for whoever is more urgent.
    pub(super) fn room(&self, standing: Standing, most: usize) -> usize {
        let own = self.0.get(&standing).map_or(0, |tenant| tenant.under_way);
        let urgent = self.0.iter().filter(|(other, _)| other.priority <= standing.priority);
        let all: usize = urgent.map(|(_, tenant)| tenant.under_way).sum();
        most.saturating_sub(own).min((4 * most).saturating_sub(all))
    }

    fn least(&self, priority: Priority) -> Option<u64> {
        let at_work = self.0.iter().filter(|(other, tenant)| other.priority == priority && tenant.under_way > 0);
        at_work.map(|(_, tenant)| tenant.served).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tenant: u64) -> Standing {
        Standing { priority: Priority::Batch, tenant }
    }

    #[test]
    fn whoever_comes_later_starts_level_and_not_with_credit() {
        let mut shares = Shares::default();
        shares.enter(of(1));
        shares.charge(of(1), 500);
        shares.enter(of(2));
        assert_eq!(shares.served(of(2)), 500);
        shares.charge(of(2), 50);
        shares.enter(of(3));
        assert_eq!(shares.served(of(3)), 500);
        // Another class counts by itself.
        let urgent = Standing { priority: Priority::Interactive, tenant: 1 };
        shares.enter(urgent);
        assert_eq!(shares.served(urgent), 0);
    }

    #[test]
    fn leaving_and_coming_back_wipes_out_no_debt() {
        let mut shares = Shares::default();
        shares.enter(of(1));
        shares.enter(of(2));
        shares.charge(of(2), 900);
        shares.charge(of(1), 100);
        shares.leave(of(2));
        shares.enter(of(2));
        assert_eq!(shares.served(of(2)), 900);
    }

    #[test]
    fn what_has_no_debt_is_forgotten() {
        let mut shares = Shares::default();
        shares.enter(of(0));
        for tenant in 1..1000 {
            shares.enter(of(tenant));
            shares.leave(of(tenant));
        }
        assert_eq!(shares.0.len(), 1);
        shares.leave(of(0));
        assert!(shares.0.is_empty());
    }

    #[test]
    fn a_tenant_leaves_room_for_others_and_a_class_for_the_more_urgent() {
        let mut shares = Shares::default();
        for tenant in 0..4 {
            for _ in 0..4 {
                assert!(shares.room(of(tenant), 4) > 0);
                shares.enter(of(tenant));
            }
            assert_eq!(shares.room(of(tenant), 4), 0);
        }
        assert_eq!(shares.room(of(9), 4), 0);
        assert_eq!(shares.room(Standing { priority: Priority::Interactive, tenant: 9 }, 4), 4);
    }
}
