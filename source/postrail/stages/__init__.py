"""One file per stage: batch in, outcomes out, aligned. No AWS, no SQL: what a stage needs comes in as ports."""
