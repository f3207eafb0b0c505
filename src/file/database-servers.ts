// The keys of a database that say which PostgreSQL servers it stands on: those that Tenfold runs (`replicas`, `settings`,
// `directory`), or those that run elsewhere (`servers`, `serverTls`); and where backups go.

import type { EnvValue } from './checked.ts'
import type { CheckedBackup, CheckedExistingServers } from './checked-databases.ts'
import { secretReference } from './services.ts'
import { defined, either, into, listOf, mapOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, duration, leaf, off, Refused, type Schema, text, whole } from './values.ts'

export const replicasMax = 15

export interface ParsedReplica {
  readonly from: string
  readonly delayMs: number
  readonly directory?: string
}

const replica: Schema<ParsedReplica> = into(
  strict(
    {
      from: text(
        "Whom it copies from: `'primary'`, whichever that is, or another server such as 'main-2'.",
        "'primary' or the id of a server",
        { pattern: /^[a-z][a-z0-9-]*$/, lengthMax: 48 },
      ).prefault('primary'),
      delay: duration(
        'It applies what it got only after this: a way back after a mistake. It is neither read from nor promoted.',
        '0s',
        '30d',
      ).prefault('0s'),
      directory: filePath('Its data, for instance on a disk of its own').optional(),
    },
    { about: 'One replica.' },
  ),
  keys => defined({ from: keys.from, delayMs: keys.delay, directory: keys.directory }),
)

export const replicas: Schema<readonly ParsedReplica[]> = either(
  'Replicas that copy the primary: how many, or a list of them.',
  into(whole('How many.', 0, replicasMax), count =>
    Array.from({ length: count }, (): ParsedReplica => ({ from: 'primary', delayMs: 0 })),
  ) as Schema<readonly ParsedReplica[]>,
  listOf('The replicas, one by one.', replica, replicasMax),
)

/** What Tenfold writes into postgresql.conf itself: another value would break what the file promises. */
const ownSettings = new Set([
  'archive_cleanup_command',
  'cluster_name',
  'config_file',
  'data_directory',
  'external_pid_file',
  'hba_file',
  'hot_standby',
  'ident_file',
  'include',
  'include_dir',
  'include_if_exists',
  'listen_addresses',
  'log_destination',
  'log_directory',
  'logging_collector',
  'password_encryption',
  'port',
  'primary_conninfo',
  'primary_slot_name',
  'promote_trigger_file',
  'recovery_min_apply_delay',
  'recovery_target_timeline',
  'restore_command',
  'synchronous_standby_names',
  'unix_socket_directories',
  'wal_level',
])

const settingPattern = /^[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?$/

const settingValue: Schema<string> = leaf({
  about: 'Its value, with a unit where PostgreSQL knows one.',
  allowed: 'a text without line breaks, a number, true or false, of at most 1000 characters',
  json: { anyOf: [{ type: 'string', maxLength: 1000 }, { type: 'number' }, { type: 'boolean' }] },
  parse: value => {
    if (typeof value === 'boolean') return value ? 'on' : 'off'
    if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined
    if (typeof value !== 'string' || value.length > 1000) return undefined
    return /[\x00-\x1f\x7f]/.test(value) ? new Refused('holds a control character') : value
  },
})

export const settings: Schema<Readonly<Record<string, string>>> = into(
  mapOf(settingValue, {
    about:
      "Settings of postgresql.conf besides Tenfold's own, the same on every server: `{ work_mem: '16MB' }`.",
    names: "settings of PostgreSQL in small letters, such as 'work_mem'",
    pattern: settingPattern,
    entriesMax: 200,
  }),
  map => {
    const own = Object.keys(map).find(name => ownSettings.has(name))
    return own === undefined
      ? map
      : new Refused(`has '${own}', which Tenfold sets itself`, `Leave out '${own}'.`)
  },
)

const url: Schema<string> = leaf({
  about: 'Where a server is, and as whom Tenfold logs in.',
  allowed: "a URL 'postgres://user:password@host:port', of at most 2048 characters",
  json: { type: 'string', minLength: 1, maxLength: 2048 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 2048) return undefined
    if (/^postgres(ql)?:\/\/[^/?#]*,/.test(value))
      return new Refused('names several servers', 'Give each server a URL of its own.')
    return /^postgres(ql)?:\/\/(?:[^\s/?#@]+@)?(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?(?:\/[^\s]*)?$/.test(
      value,
    )
      ? value
      : undefined
  },
})

export const servers: Schema<readonly EnvValue[]> = listOf(
  'PostgreSQL servers that run elsewhere, instead of our own: Tenfold finds out which is the primary and follows it, and never promotes one.',
  either("A URL, or `secret('NAME')`.", url, secretReference) as Schema<EnvValue>,
  replicasMax + 1,
  1,
)

export const serverTls: Schema<CheckedExistingServers['tls']> = into(
  strict(
    {
      mode: choice(
        '`require`: encrypted. `verify`: and the certificate must be good for the host that the URL names.',
        ['off', 'require', 'verify'],
      ).prefault('verify'),
      caFile: filePath("Authorities (PEM). Left out: the system's").optional(),
    },
    { about: 'TLS to the servers of `servers`. Left out: none.' },
  ),
  keys =>
    keys.caFile !== undefined && keys.mode !== 'verify'
      ? new Refused(`has 'caFile', which mode '${keys.mode}' does not use`, "Write mode: 'verify'.")
      : defined({ mode: keys.mode, caFile: keys.caFile }),
)

export const backup: Schema<CheckedBackup> = into(
  strict(
    {
      to: filePath('The folder that base backups and the log go to; best on another disk'),
      every: duration('A base backup this often.', '1m', '365d').prefault('1d'),
      keep: whole('Base backups kept; log that only older ones need is deleted.', 1, 1000).prefault(7),
      drill: either(
        'How often the last backup is restored in a scratch folder and looked at. `false`: only by `tenfold db drill`.',
        duration('How often.', '1m', '365d'),
        off('Never by itself.'),
      ).prefault('7d'),
    },
    {
      about:
        'Backups: base backups, and the log of every change in between, so that any moment can be restored.',
      elsewhere: { directory: "Did you mean 'to'?", path: "Did you mean 'to'?" },
    },
  ),
  keys =>
    /^[a-z][a-z0-9+.-]*:\/\//i.test(keys.to)
      ? new Refused(
          "has a URL as 'to', and backups go to a folder",
          'Mount what is elsewhere, and name the folder.',
        )
      : {
          directory: keys.to,
          everyMs: keys.every,
          keep: keys.keep,
          drillEveryMs: keys.drill === false ? null : keys.drill,
        },
)
