//! Results as JSON: numbers, texts, and lists of samples.

/// A JSON object under construction. Names and texts here need no escaping beyond quotes.
#[derive(Default)]
pub struct Object {
    members: Vec<String>,
}

impl Object {
    pub fn number(mut self, name: &str, value: u64) -> Object {
        self.members.push(format!("\"{}\": {}", name, value));
        self
    }

    pub fn samples(mut self, name: &str, values: &[u64]) -> Object {
        let values: Vec<String> = values.iter().map(u64::to_string).collect();
        self.members.push(format!("\"{}\": [{}]", name, values.join(", ")));
        self
    }

    pub fn text(&self) -> String {
        format!("{{{}}}", self.members.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_json() {
        let object = Object::default().number("a", 1).samples("b", &[2, 3]);
        assert_eq!(object.text(), r#"{"a": 1, "b": [2, 3]}"#);
        assert_eq!(Object::default().text(), "{}");
    }
}
