-- A closed sequence is never written again: the transaction that wrote its row is the one that closed it.
-- A reversal ends the road of a payment that nothing else is known of, and only when nothing is left of it.

-- name: by_payment
WITH known AS (
    SELECT s.payment_id, s.correlation_id, s.status,
           CASE s.status WHEN 'posted' THEN 1 WHEN 'refused' THEN 2 ELSE 4 END AS rank,
           CASE s.status WHEN 'posted' THEN 'PaymentPosted' WHEN 'refused' THEN 'PaymentPostingFailed'
                         ELSE '' END AS detail_type,
           s.reason,
           CASE WHEN s.status = 'waiting' THEN NULL
                WHEN current_setting('track_commit_timestamp') = 'on'
                THEN coalesce(pg_xact_commit_timestamp(s.xmin), s.closed_at)
                ELSE s.closed_at END AS settled_at
      FROM ledger.posting_sequences AS s
     WHERE s.payment_id = ANY ($1::text[])
    UNION ALL
    SELECT o.payment_id, o.correlation_id, 'outcome',
           CASE o.detail_type WHEN 'AuthorizationReversed' THEN 5 ELSE 3 END, o.detail_type, o.reason_code,
           CASE WHEN current_setting('track_commit_timestamp') = 'on'
                THEN coalesce(pg_xact_commit_timestamp(o.xmin), o.recorded_at)
                ELSE o.recorded_at END
      FROM audit.outcomes AS o
     WHERE o.payment_id = ANY ($1::text[])
       AND (o.detail_type <> 'AuthorizationReversed' OR o.event #>> '{data,remaining_minor}' = '0')
)
SELECT DISTINCT ON (payment_id) payment_id, correlation_id, status, detail_type, reason, settled_at
  FROM known
 ORDER BY payment_id, rank, settled_at;

-- name: by_correlation
WITH known AS (
    SELECT s.payment_id, s.correlation_id, s.status,
           CASE s.status WHEN 'posted' THEN 1 WHEN 'refused' THEN 2 ELSE 4 END AS rank,
           CASE s.status WHEN 'posted' THEN 'PaymentPosted' WHEN 'refused' THEN 'PaymentPostingFailed'
                         ELSE '' END AS detail_type,
           s.reason,
           CASE WHEN s.status = 'waiting' THEN NULL
                WHEN current_setting('track_commit_timestamp') = 'on'
                THEN coalesce(pg_xact_commit_timestamp(s.xmin), s.closed_at)
                ELSE s.closed_at END AS settled_at
      FROM ledger.posting_sequences AS s
     WHERE s.correlation_id = $1
    UNION ALL
    SELECT o.payment_id, o.correlation_id, 'outcome',
           CASE o.detail_type WHEN 'AuthorizationReversed' THEN 5 ELSE 3 END, o.detail_type, o.reason_code,
           CASE WHEN current_setting('track_commit_timestamp') = 'on'
                THEN coalesce(pg_xact_commit_timestamp(o.xmin), o.recorded_at)
                ELSE o.recorded_at END
      FROM audit.outcomes AS o
     WHERE o.correlation_id = $1
       AND (o.detail_type <> 'AuthorizationReversed' OR o.event #>> '{data,remaining_minor}' = '0')
)
SELECT DISTINCT ON (payment_id) payment_id, correlation_id, status, detail_type, reason, settled_at
  FROM known
 ORDER BY payment_id, rank, settled_at;
