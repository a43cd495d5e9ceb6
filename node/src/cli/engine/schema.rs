//! What peers must have in common to understand each other's numbers: shapes, and of what the numbers are.

use protocol::id::{Hash, SchemaHash};
use shaders::data::Dataset;
use shaders::models::network::Network;

/// Of the shapes of a model and of what stands for them in the data: characters, columns with their texts, classes.
pub(super) fn of(network: &Network, dataset: &Dataset) -> SchemaHash {
    let (shapes, encoding) = (network.schema().hash(), &dataset.encoding);
    if encoding.characters.is_empty() && encoding.columns.is_empty() && encoding.class_names.is_empty() {
        return shapes;
    }
    let mut hasher = blake3::Hasher::new_derive_key("starling 1 schema with characters");
    hasher.update(&shapes.0.0).update(encoding.characters.as_bytes());
    let columns = encoding.columns.iter().map(|column| (Some(&column.name), &column.values));
    for (name, texts) in
        columns.chain([(None, &encoding.class_names)]).filter(|(name, texts)| name.is_some() || !texts.is_empty())
    {
        hasher.update(&(texts.len() as u64).to_le_bytes());
        for text in name.into_iter().chain(texts) {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
    }
    SchemaHash(Hash(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use shaders::data::Column;
    use shaders::models::ModelSpec;

    use super::*;

    #[test]
    fn peers_with_other_columns_texts_or_classes_have_another_one() {
        let network = ModelSpec::Mlp { hidden: vec![4] }.build(&[3], 2).unwrap();
        let schema = |columns: &[(&str, &[&str])], classes: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let mut dataset = Dataset::default();
            let column = |(name, values): &(&str, &[&str])| Column { name: (*name).to_owned(), values: texts(values) };
            dataset.encoding.columns = columns.iter().map(column).collect();
            dataset.encoding.class_names = texts(classes);
            of(&network, &dataset)
        };
        let (length, width, kind): ((&str, &[&str]), (&str, &[&str]), (&str, &[&str])) =
            (("length", &[]), ("width", &[]), ("kind", &["a", "b"]));
        let ours = schema(&[length, width, kind], &["lily", "rose"]);
        assert_eq!(ours, schema(&[length, width, kind], &["lily", "rose"]));
        assert_eq!(schema(&[], &[]), network.schema().hash(), "pictures and the like have shapes alone");
        for other in [
            schema(&[width, length, kind], &["lily", "rose"]),
            schema(&[length, width, ("kind", &["b", "c"])], &["lily", "rose"]),
            schema(&[length, width, kind], &["rose", "tulip"]),
            schema(&[length, width, ("kind", &[]), ("a", &[]), ("b", &[])], &["lily", "rose"]),
            schema(&[], &["lily", "rose"]),
        ] {
            assert_ne!(ours, other);
        }
    }
}
