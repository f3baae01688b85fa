//! A JSON transform: totals by customer of a list of orders, the largest first.
//!
//! `{"orders": [{"customer": "a", "cents": 120}, ...]}` gives
//! `{"customers": [{"customer": "a", "orders": 1, "cents": 120}, ...]}`.

use alloc::collections::BTreeMap;
use micro::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Question {
    orders: Vec<Order>,
}

#[derive(Deserialize)]
struct Order {
    customer: String,
    cents: u64,
}

#[derive(Serialize)]
struct Answer {
    customers: Vec<Total>,
}

#[derive(Serialize)]
struct Total {
    customer: String,
    orders: u64,
    cents: u64,
}

pub fn main(args: &[u8]) -> Result<Vec<u8>, String> {
    let question: Question = serde_json::from_slice(args).map_err(|error| error.to_string())?;
    let mut totals: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for order in question.orders {
        let total = totals.entry(order.customer).or_default();
        total.0 += 1;
        total.1 += order.cents;
    }
    let mut customers: Vec<Total> = totals
        .into_iter()
        .map(|(customer, (orders, cents))| Total { customer, orders, cents })
        .collect();
    customers.sort_by(|one, other| other.cents.cmp(&one.cents));
    serde_json::to_vec(&Answer { customers }).map_err(|error| error.to_string())
}
