"""Beyond one machine: Ray to encode, Milvus to serve. Each engine is imported when it is first used."""
