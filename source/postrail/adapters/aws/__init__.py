"""The ports on AWS: EventBridge, DynamoDB, S3, SQS, Secrets Manager; and how Lambda hands events to a stage."""
