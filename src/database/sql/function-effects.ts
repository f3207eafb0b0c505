// Built-in functions that are more than a value: what they leave behind in the session, and those that only the primary can
// answer. By bare name; extensions are found by theirs in whatever schema they are.

import type { PinReason } from './contract.ts'

/** Volatile to PostgreSQL, and yet nothing is changed, and any server does as well. */
export const harmlessFunctions: ReadonlySet<string> = new Set([
  'random',
  'random_normal',
  'gen_random_uuid',
  'uuidv4',
  'uuidv7',
  'clock_timestamp',
  'timeofday',
  'pg_sleep',
  'pg_sleep_for',
  'pg_sleep_until',
])

/** Answered by the primary, because another server or session would say something else. They write nothing. */
const primaryFunctions: ReadonlySet<string> = new Set([
  'currval',
  'lastval',
  'set_config',
  'setseed',
  'pg_backend_pid',
  'inet_server_addr',
  'inet_server_port',
  'inet_client_addr',
  'inet_client_port',
  'pg_postmaster_start_time',
  'pg_conf_load_time',
  'pg_is_in_recovery',
  'pg_current_wal_lsn',
  'pg_current_wal_flush_lsn',
  'pg_current_wal_insert_lsn',
  'pg_last_wal_receive_lsn',
  'pg_last_wal_replay_lsn',
  'pg_last_xact_replay_timestamp',
  'pg_is_wal_replay_paused',
  'pg_get_wal_replay_pause_state',
  'pg_current_xact_id_if_assigned',
  'txid_current_if_assigned',
  'pg_export_snapshot',
  // Refused in recovery, though they are not volatile (as are those that give a transaction its id, below).
  'pg_walfile_name',
  'pg_walfile_name_offset',
  'pg_sequence_last_value',
  'pg_sequence_parameters',
  'pg_database_size',
  'pg_relation_size',
  'pg_table_size',
  'pg_indexes_size',
  'pg_total_relation_size',
  'pg_tablespace_size',
  'pg_cancel_backend',
  'pg_terminate_backend',
  'pg_blocking_pids',
  'pg_safe_snapshot_blocking_pids',
  'pg_lock_status',
  'pg_prepared_xact',
  'pg_prepared_statement',
  'pg_cursor',
  'pg_show_all_settings',
  'pg_notification_queue_usage',
  'pg_listening_channels',
  'pg_stat_clear_snapshot',
  'pg_isolation_test_session_is_blocked',
])

/** Called stable, and yet they write: the transaction gets an id. */
export const writingFunctions: ReadonlySet<string> = new Set(['pg_current_xact_id', 'txid_current'])

const primaryPatterns =
  /^(pg_stat_get_|pg_advisory_|pg_try_advisory_|pg_control_|pg_ls_|pg_hba_|pg_ident_|pg_show_|pg_get_(backend|shmem|dsm|replication_slots|wal_|aios))/

export function primaryOnly(name: string): boolean {
  return primaryFunctions.has(name) || primaryPatterns.test(name)
}

/** What a call leaves in the session that only its own server connection has. */
export const pinningFunctions: ReadonlyMap<string, PinReason> = new Map([
  ['setseed', 'random-seed'],
  ['currval', 'sequence'],
  ['lastval', 'sequence'],
  ['dblink_connect', 'unknown'],
  ['dblink_connect_u', 'unknown'],
  ['pg_replication_origin_session_setup', 'unknown'],
] as const)

/** Session-level advisory locks: how a call changes their number. */
export const advisoryLockFunctions: ReadonlyMap<string, 1 | -1> = new Map([
  ['pg_advisory_lock', 1],
  ['pg_advisory_lock_shared', 1],
  ['pg_try_advisory_lock', 1],
  ['pg_try_advisory_lock_shared', 1],
  ['pg_advisory_unlock', -1],
  ['pg_advisory_unlock_shared', -1],
] as const)

/** A number of locks that no unlocking by one brings down to none: how many were taken is not known. */
export const locksUncountable = 1_000_000
