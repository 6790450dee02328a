-- name: record
INSERT INTO audit.outcomes (event_id, payment_id, correlation_id, detail_type, occurred_at, reason_code, event)
SELECT o.event_id, o.payment_id, o.correlation_id, o.detail_type, o.occurred_at, o.reason_code, o.event::jsonb
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[])
       AS o (event_id, payment_id, correlation_id, detail_type, occurred_at, reason_code, event)
 ORDER BY o.event_id COLLATE "C"
    ON CONFLICT (event_id) DO NOTHING;
