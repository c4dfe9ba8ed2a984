//! Three servers with listeners for operators on one database.

use std::sync::Arc;

use serde_json::Value;

use super::admin::{Operator, with_admin};
use super::app::TestApp;
use super::postgres::TestDatabase;
use super::smtp::eventually;

/// Nodes `a`, `b` and `c`, in the order of their starts.
pub(crate) struct ThreeNodes {
    pub(crate) database: Arc<TestDatabase>,
    pub(crate) nodes: Vec<TestApp>,
}

impl ThreeNodes {
    /// Returns once each is known to all.
    pub(crate) async fn start() -> Self {
        let database = Arc::new(TestDatabase::new().await);
        let mut three = Self { database, nodes: Vec::new() };
        for name in ["a", "b", "c"] {
            let node = three.another(&[("AUTH_NODE_NAME", name)]).await;
            three.nodes.push(node);
        }
        let operator = three.operator();
        eventually("three nodes", async || living(&operator).await == ["a", "b", "c"]).await;
        three
    }

    /// One more node.
    pub(crate) async fn another(&self, more: &[(&str, &str)]) -> TestApp {
        TestApp::start_on(Arc::clone(&self.database), &with_admin(more)).await
    }

    /// Whoever asks node `a`.
    pub(crate) fn operator(&self) -> Operator {
        Operator::of(&self.nodes[0])
    }

    /// One for each node.
    pub(crate) fn operators(&self) -> Vec<Operator> {
        self.nodes.iter().map(Operator::of).collect()
    }
}

/// What a node says of all.
pub(crate) async fn nodes(operator: &Operator) -> Vec<Value> {
    let response = operator.get("/ops/cluster").await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["nodes"].as_array().unwrap().clone()
}

/// What a node says of the one of this name.
pub(crate) async fn node(operator: &Operator, name: &str) -> Value {
    let all = nodes(operator).await;
    all.iter().find(|node| node["name"] == name).cloned().unwrap_or_default()
}

/// The names of nodes that live, in the order of their starts.
pub(crate) async fn living(operator: &Operator) -> Vec<String> {
    let lives = |node: &&Value| node["state"] == "live";
    let name = |node: &Value| node["name"].as_str().unwrap().to_owned();
    nodes(operator).await.iter().filter(lives).map(name).collect()
}
