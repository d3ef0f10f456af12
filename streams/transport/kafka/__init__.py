"""The transport over Apache Kafka: the one door to aiokafka."""
