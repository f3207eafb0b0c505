// postgresql.conf and pg_hba.conf of a server, written whole by us: what a server is set to depends on the machine, on
// how many servers share it, on the file, and on whom it follows. Pure texts; which names PostgreSQL knows is checked
// by asking it (`binaries.ts`).

/** What the machine has for PostgreSQL. */
export interface Machine {
  readonly memoryBytes: number
  readonly cores: number
}

export interface ServerSettings {
  readonly port: number
  /** pg_hba.conf. */
  readonly accessFile: string
  readonly machine: Machine
  /** Servers that share the machine's memory. */
  readonly servers: number
  /** Settings of the file. */
  readonly extra: Readonly<Record<string, string>>
  /** `synchronous_standby_names`. */
  readonly synchronous: string
  /** Null: it follows nobody. */
  readonly follows: Following | null
  /** The configuration that it had. */
  readonly former: string | null
}

export interface Following {
  /** As it names itself to the server that it follows. */
  readonly id: string
  readonly host: string
  readonly port: number
  readonly user: string
  /** libpq reads the password from it. */
  readonly passwordFile: string
  readonly slot: string
  readonly delayMs: number
  /** Logical slots are kept on it too: it follows the primary itself, and may become it. */
  readonly keepsSlots: boolean
}

const MB = 1024 * 1024

/** Settings that Tenfold decides: a server that had others could not be found, followed, fenced or trusted. */
export const ownSettings: ReadonlySet<string> = new Set([
  'port',
  'listen_addresses',
  'unix_socket_directories',
  'data_directory',
  'config_file',
  'hba_file',
  'ident_file',
  'external_pid_file',
  'primary_conninfo',
  'primary_slot_name',
  'recovery_min_apply_delay',
  'synchronous_standby_names',
  'wal_level',
  'hot_standby',
  'password_encryption',
  'logging_collector',
  'log_destination',
  'allow_alter_system',
])

const namePattern = /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/i

/** Why the file may not set this; null: it may, as far as names go. */
export function whyNotSettable(name: string): string | null {
  if (!namePattern.test(name)) return `'${name}' is not a name of a PostgreSQL setting`
  if (ownSettings.has(name.toLowerCase())) return `'${name}' is decided by Tenfold`
  return null
}

export function configurationText(settings: ServerSettings): string {
  const extra = lowerCased(settings.extra)
  const preload = ['pg_stat_statements', ...list(extra.shared_preload_libraries)]
  const all: Record<string, string> = {
    ...memorySettings(settings.machine, settings.servers),
    ...steadySettings,
    ...extra,
    shared_preload_libraries: [...new Set(preload)].join(','),
    ...ownValues(settings),
  }
  if (settings.follows !== null && settings.former !== null) raise(all, settings.former)
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${quoted(value)}`)
  return `# Written by Tenfold at each change; edits are lost. The file's \`settings\` are the place for them.\n${lines.join('\n')}\n`
}

/**
 * Of these a replica must have as many as its primary has, or it refuses to start (hot-standby-admin). A lower number
 * reaches the primary by its own restart; until then, and after, a replica keeps what it had.
 */
const notBelowPrimary = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
]

/** What a running primary has of them, as lines of a configuration. */
export const sizesSql: string = `SELECT string_agg(format('%s = ''%s''', name, setting), E'\\n') FROM pg_settings WHERE name IN (${notBelowPrimary.map(name => `'${name}'`).join(', ')})`

/**
 * Is there a setting that only a restart takes over? Not a lower number of these where there are replicas: none could be
 * restarted before the primary, nor the primary be replaced by one that has it. It counts from the next start of all.
 */
export function pendingSql(replicated: boolean): string {
  const names = notBelowPrimary.map(name => `'${name}'`).join(', ')
  // CASE, because only these are numbers.
  const lower = `CASE WHEN s.name IN (${names}) THEN (SELECT file.setting::numeric < s.setting::numeric FROM pg_file_settings AS file WHERE file.name = s.name ORDER BY seqno DESC LIMIT 1) END`
  const kept = replicated ? `AND ${lower} IS NOT TRUE` : ''
  return `SELECT pg_sleep(0.05), count(*) FROM pg_settings AS s WHERE s.pending_restart ${kept}`
}

function raise(all: Record<string, string>, former: string): void {
  for (const name of notBelowPrimary) {
    for (const [, had] of former.matchAll(new RegExp(`^${name} = '(\\d+)'$`, 'gm')))
      if (Number(had) > Number(all[name] ?? 0)) all[name] = String(had)
  }
}

function lowerCased(extra: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(extra).map(([name, value]) => [name.toLowerCase(), value]))
}

function list(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map(one => one.trim())
    .filter(one => one !== '')
}

/** PostgreSQL's file has one kind of quotes; line ends would begin another setting. */
function quoted(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', ' ')}'`
}

function clamp(low: number, value: number, high: number): number {
  return Math.round(Math.min(high, Math.max(low, value)))
}

/**
 * A sixteenth of the memory as buffers, shared by all servers of the machine, because services and the page cache live
 * there too; what one sort may take is small enough for every connection to sort.
 */
function memorySettings(machine: Machine, servers: number): Record<string, string> {
  const memoryMb = machine.memoryBytes / MB
  // In steps: one more replica of a few changes nothing that would restart the primary.
  const sharers = Math.max(4, 2 ** Math.ceil(Math.log2(servers)))
  const shareMb = memoryMb / sharers
  const workers = clamp(2, machine.cores, 64)
  return {
    shared_buffers: `${clamp(32, shareMb / 16, 1024)}MB`,
    effective_cache_size: `${clamp(128, memoryMb / 2, 262_144)}MB`,
    work_mem: `${clamp(4, shareMb / 1024, 32)}MB`,
    maintenance_work_mem: `${clamp(32, shareMb / 64, 512)}MB`,
    autovacuum_work_mem: `${clamp(32, shareMb / 128, 256)}MB`,
    min_dynamic_shared_memory: `${clamp(16, shareMb / 64, 256)}MB`,
    max_worker_processes: String(workers + 8),
    max_parallel_workers: String(workers),
    max_parallel_workers_per_gather: String(clamp(0, machine.cores / 2, 4)),
  }
}

/** Reasons stand where the value is not PostgreSQL's own. */
const steadySettings: Readonly<Record<string, string>> = {
  max_connections: '120',
  // Ours, so that a full server can still be looked at and taken over.
  superuser_reserved_connections: '8',
  // Files in the data directory: what a killed server leaves in /dev/shm stays there, which a container has little of.
  // Nearly all of it comes out of `min_dynamic_shared_memory`, which is plain memory.
  dynamic_shared_memory_type: 'mmap',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  default_text_search_config: 'pg_catalog.english',
  // Disks of today read anywhere at nearly the same cost.
  random_page_cost: '1.1',
  max_wal_size: '1GB',
  min_wal_size: '80MB',
  // Replicas, their slots, base backups, archive, decoding of lost changes; rows that move between a shard and all others,
  // both ways: a slot, a sender and an origin for each.
  max_wal_senders: '64',
  max_replication_slots: '64',
  max_active_replication_origins: '64',
  // Bridges the moment between a promotion and the slots on the new primary.
  wal_keep_size: '256MB',
  // A replica that never comes back may not fill the disk: it is cloned again.
  max_slot_wal_keep_size: '8GB',
  hot_standby_feedback: 'on',
  // 5 s by default: each reconnect of a replica would take that long.
  wal_retrieve_retry_interval: '100ms',
  wal_receiver_status_interval: '1s',
  wal_sender_timeout: '10s',
  wal_receiver_timeout: '10s',
  // Of commits over shards, for as long as they wait for each other: of all clients that hold a connection elsewhere.
  max_prepared_transactions: '128',
  track_commit_timestamp: 'on',
  track_io_timing: 'on',
  // Connections whose peer vanished, and statements that nobody waits for any more.
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
  client_connection_check_interval: '5s',
  idle_in_transaction_session_timeout: '10min',
  // Values of users are never logged; texts of statements only with their errors.
  log_line_prefix: '%m [%p] %q%u@%d ',
  log_statement: 'none',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_min_duration_statement: '-1',
  log_checkpoints: 'off',
  log_connections: '',
  log_lock_waits: 'on',
  'pg_stat_statements.max': '5000',
  'pg_stat_statements.track_utility': 'off',
}

function ownValues(settings: ServerSettings): Record<string, string> {
  const { follows } = settings
  return {
    hba_file: settings.accessFile,
    listen_addresses: '127.0.0.1',
    port: String(settings.port),
    unix_socket_directories: '',
    wal_level: 'logical',
    hot_standby: 'on',
    password_encryption: 'scram-sha-256',
    log_destination: 'stderr',
    logging_collector: 'off',
    // Drift between servers and file: the file's settings hold.
    allow_alter_system: 'off',
    synchronous_standby_names: settings.synchronous,
    primary_conninfo: follows === null ? '' : connectionInfo(follows),
    primary_slot_name: follows?.slot ?? '',
    recovery_min_apply_delay: `${follows?.delayMs ?? 0}ms`,
    // Logical slots that are to survive a failover are kept on the replicas too (`dbname` is needed for that).
    sync_replication_slots: follows?.keepsSlots ? 'on' : 'off',
  }
}

function connectionInfo(follows: Following): string {
  const fields = {
    host: follows.host,
    port: String(follows.port),
    user: follows.user,
    dbname: 'postgres',
    application_name: follows.id,
    passfile: follows.passwordFile,
    sslmode: 'disable',
    gssencmode: 'disable',
    connect_timeout: '5',
    tcp_user_timeout: '10000',
  }
  return Object.entries(fields)
    .map(([name, value]) => `${name}='${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ')
}

/** Everybody proves a password, on the loopback interface; replication is for our own roles. */
export function accessText(replicationUser: string, superuser: string): string {
  const rows = [
    `host replication ${replicationUser} 127.0.0.1/32 scram-sha-256`,
    `host replication ${superuser} 127.0.0.1/32 scram-sha-256`,
    'host replication all 127.0.0.1/32 reject',
    'host all all 127.0.0.1/32 scram-sha-256',
  ]
  return `# Written by Tenfold.\n${rows.join('\n')}\n`
}

/** While a server's log is read and nobody may write: only our own superuser gets in. */
export function isolatedAccessText(superuser: string): string {
  return `# Written by Tenfold: isolated.\nhost all ${superuser} 127.0.0.1/32 scram-sha-256\n`
}

/** A replica's slot on the server that it follows. At most 63 bytes of [a-z0-9_]. */
export function slotOf(id: string): string {
  return `${slotPrefix}${id.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63)
}

export const slotPrefix = 'tenfold_replica_'
