// The keys of `services`: what a service runs or where it is, and how its processes live. It gives the checked
// system's services, except for their names.

import type {
  AddressService,
  CheckedAddress,
  CommandService,
  EnvValue,
  ReadySettings,
  SecretReference,
} from './checked.ts'
import { memberAddress } from './network.ts'
import { scale } from './scale.ts'
import { defined, either, into, listOf, mapOf, strict } from './shapes.ts'
import { type UpstreamInput, upstreamKeys, upstreamSettings } from './upstream.ts'
import { choice, duration, leaf, Refused, type Schema, size, text, whole } from './values.ts'

/** A service before its name is known. */
export type UnnamedService = Omit<CommandService, 'name'> | Omit<AddressService, 'name'>

const commandText = leaf<string>({
  about: 'Run by `/bin/sh -c`.',
  allowed: 'a command line, of at most 8192 characters',
  json: { type: 'string', minLength: 1, maxLength: 8192 },
  parse: value => {
    if (typeof value !== 'string') return undefined
    if (value.trim() === '') return new Refused('is empty')
    if (value.includes('\0')) return new Refused('holds a NUL character')
    return value.length > 8192 ? undefined : value
  },
})

const argument = leaf<string>({
  about: 'The program, then its arguments.',
  allowed: 'a text without NUL, of at most 8192 characters',
  json: { type: 'string', maxLength: 8192 },
  parse: value =>
    typeof value === 'string' && value.length <= 8192 && !value.includes('\0') ? value : undefined,
})

const command = either(
  'The command that starts one instance. It is told its port in `PORT`.',
  commandText,
  into(listOf('The program and its arguments, run without a shell.', argument, 1024, 1), list =>
    list[0]?.trim() ? list : new Refused('names no program'),
  ),
)

const weight = whole('Its share of the traffic, relative to the other members.', 0, 1000)
const tier = whole('0 is used first; a higher tier only when lower ones lack healthy members.', 0, 15)

const address = either(
  'One member, or a name that gives several.',
  memberAddress('One address.'),
  into(
    strict(
      {
        address: memberAddress('One address.'),
        weight: weight.prefault(1),
        tier: tier.prefault(0),
      },
      { about: 'An address with its weight and tier.' },
    ),
    (keys): CheckedAddress =>
      keys.address.kind === 'srv'
        ? { ...keys.address, tier: keys.tier }
        : { ...keys.address, weight: keys.weight, tier: keys.tier },
  ),
)

const countMax = 1000
const instanceCount = whole('A fixed number of instances.', 1, countMax)
const instances = either(
  'How many instances run: a fixed number, or the bounds that `tenfold scale` stays within.',
  into(instanceCount, n => ({ min: n, max: n })),
  into(
    strict(
      {
        min: whole('Started at first, and the least that `tenfold scale` allows.', 1, countMax).prefault(1),
        max: whole('The most. Left out: 16, or `min` if that is more.', 1, countMax).optional(),
        scale: scale.optional(),
      },
      { about: 'Bounds, and what decides within them.' },
    ),
    ({ min, max = Math.max(16, min), scale: by }) => {
      if (min > max) return new Refused(`has 'min' ${min} above 'max' ${max}`, "Swap them, or raise 'max'.")
      const beyond = by?.schedule.find(entry => entry.min < min || entry.max > max)
      return beyond === undefined
        ? defined({ min, max, scale: by })
        : new Refused(
            `has a schedule of ${beyond.min} to ${beyond.max} instances, outside of its own ${min} to ${max}`,
            "'min' and 'max' are the least and the most there ever are: widen them.",
          )
    },
  ),
)

const secretName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
const envText = leaf<string>({
  about: 'A text.',
  allowed: 'a text without NUL, of at most 32768 characters',
  json: { type: 'string', maxLength: 32_768 },
  parse: value => {
    if (typeof value === 'string') return value.length <= 32_768 && !value.includes('\0') ? value : undefined
    return typeof value === 'number' || typeof value === 'boolean'
      ? new Refused('is not a text', 'Put it in quotes.')
      : undefined
  },
})
export const secretReference: Schema<SecretReference> = strict(
  {
    secret: text('Name of the secret.', 'a name of letters, digits and _', {
      pattern: secretName,
      lengthMax: 128,
    }),
  },
  { about: "A reference that `secret('NAME')` makes." },
)
const env = mapOf<EnvValue>(
  either("A text, or `secret('NAME')`.", envText, secretReference) as Schema<EnvValue>,
  {
    about:
      "Environment variables, added to those that Tenfold itself runs with. `secret('NAME')` keeps a value out of the file.",
    names: 'names of letters, digits and _ with their values',
    pattern: secretName,
    entriesMax: 1000,
  },
)

const restart: Schema<CommandService['restart']> = into(
  strict(
    {
      backoff: duration('Before the first restart; doubles with each further one.', '0ms', '10m').prefault(
        '100ms',
      ),
      backoffMax: duration('The longest wait before a restart.', '0ms', '1h').prefault('10s'),
      max: whole(
        'More exits than this within `within`, and the instance is given up as failed.',
        0,
        10_000,
      ).prefault(5),
      within: duration('The window of `max`.', '1s', '24h').prefault('1m'),
    },
    { about: 'What happens when an instance exits by itself.' },
  ),
  keys =>
    keys.backoff > keys.backoffMax
      ? new Refused("has a 'backoff' longer than its 'backoffMax'")
      : {
          backoffBaseMs: keys.backoff,
          backoffMaxMs: keys.backoffMax,
          exitsMax: keys.max,
          windowMs: keys.within,
        },
)

const stop: Schema<CommandService['stop']> = into(
  strict(
    {
      signal: choice('Sent to the whole process group.', [
        'SIGTERM',
        'SIGINT',
        'SIGQUIT',
        'SIGHUP',
        'SIGUSR1',
        'SIGUSR2',
      ]).prefault('SIGTERM'),
      timeout: duration('From the signal to KILL.', '0ms', '1h').prefault('10s'),
      drain: duration(
        'How long requests in flight may go on before the signal is sent.',
        '0ms',
        '24h',
      ).prefault('30s'),
    },
    { about: 'How an instance is ended.' },
  ),
  keys => ({ signal: keys.signal, timeoutMs: keys.timeout, drainTimeoutMs: keys.drain }),
)

const logs: Schema<CommandService['logs']> = into(
  strict(
    {
      size: size('A log file is rotated when it is larger.', '4KB', '10GB').prefault('10MB'),
      files: whole('Rotated files kept for each instance.', 0, 100).prefault(3),
    },
    { about: 'Captured output, under `logs/` of the state directory.' },
  ),
  keys => ({ bytesMax: keys.size, filesMax: keys.files }),
)

const commandOnly = [
  'instances',
  'env',
  'directory',
  'weights',
  'memory',
  'restart',
  'stop',
  'ready',
  'logs',
  'user',
] as const

const serviceKeys = {
  command: command.optional(),
  addresses: listOf('Where the service already runs, instead of `command`.', address, 1000, 1).optional(),
  instances: instances.optional(),
  env: env.optional(),
  directory: text("Working directory, relative to the system file's folder.", 'a path', {
    lengthMax: 4096,
  }).optional(),
  ...upstreamKeys,
  weights: mapOf(weight, {
    about: "Weights of single instances: `{ 'web-1': 3 }`. The others weigh 1.",
    names: "instances such as 'web-1' with their weights",
    pattern: /^[a-z][a-z0-9-]*-[1-9]\d{0,3}$/,
    entriesMax: countMax,
  }).optional(),
  memory: size(
    'Resident memory of an instance, children included, at which it is drained and restarted. Left out: no limit.',
    '1MB',
    '16384GB',
  ).optional(),
  restart: restart.optional(),
  stop: stop.optional(),
  ready: into(
    strict(
      {
        timeout: duration('From the start of an instance to its first good probe.', '100ms', '1h').prefault(
          '30s',
        ),
      },
      { about: 'How long an instance may take to become ready.' },
    ),
    keys => keys.timeout,
  ).optional(),
  logs: logs.optional(),
  user: text('User as which instances run; needs Tenfold to run as root.', 'a user name', {
    pattern: /^[a-z_][a-z0-9_.-]*\$?$/i,
    lengthMax: 64,
  }).optional(),
}

export const service: Schema<UnnamedService> = into(
  strict(serviceKeys, {
    about:
      'One service: processes that Tenfold runs (`command`), or addresses where it already runs (`addresses`).',
    elsewhere: {
      port: 'An instance gets a free port in PORT: listen there.',
      cmd: "Did you mean 'command'?",
      cwd: "Did you mean 'directory'?",
      replicas: "Did you mean 'instances'?",
      environment: "Did you mean 'env'?",
      sticky: "'sticky' is a key of routes.",
    },
  }),
  keys => {
    if (keys.command !== undefined && keys.addresses !== undefined)
      return new Refused(
        "has both 'command' and 'addresses'",
        'Keep one: run it here, or name where it runs.',
      )
    if (keys.addresses)
      return addressService(
        keys.addresses,
        keys,
        commandOnly.find(key => keys[key] !== undefined),
      )
    return keys.command === undefined
      ? new Refused(
          "has neither 'command' nor 'addresses'",
          "Add command: 'node server.mjs', or addresses: ['host:port'].",
        )
      : commandService(keys.command, keys)
  },
)

function addressService(
  addresses: readonly CheckedAddress[],
  keys: UpstreamInput,
  foreign: string | undefined,
): UnnamedService | Refused {
  if (foreign)
    return new Refused(
      `has '${foreign}', which only services with a 'command' have`,
      `Leave out '${foreign}'.`,
    )
  return { kind: 'addresses', addresses, upstream: upstreamSettings(keys) }
}

const parsed = <T>(schema: Schema<T>, value: T | undefined): T => value ?? schema.parse({})

interface CommandKeys extends UpstreamInput {
  readonly instances?: CommandService['instances'] | undefined
  readonly env?: CommandService['env'] | undefined
  readonly directory?: string | undefined
  readonly weights?: CommandService['weights'] | undefined
  readonly memory?: number | undefined
  readonly restart?: CommandService['restart'] | undefined
  readonly stop?: CommandService['stop'] | undefined
  readonly ready?: number | undefined
  readonly logs?: CommandService['logs'] | undefined
  readonly user?: string | undefined
}

function commandService(line: string | readonly string[], keys: CommandKeys): UnnamedService {
  return defined({
    kind: 'command' as const,
    command: line,
    directory: keys.directory ?? '.',
    env: keys.env ?? {},
    instances: parsed(instances, keys.instances),
    weights: keys.weights ?? {},
    ready: readySettings(keys),
    restart: parsed(restart, keys.restart),
    stop: parsed(stop, keys.stop),
    memoryBytesMax: keys.memory,
    user: keys.user,
    logs: parsed(logs, keys.logs),
    upstream: upstreamSettings(keys),
  })
}

/** Readiness is looked at more often than health, so that a start takes as long as the service takes. */
function readySettings(keys: CommandKeys): ReadySettings {
  const { probe } = keys.health
  return defined({
    kind: probe.kind,
    path: probe.path,
    host: probe.host,
    intervalMs: Math.min(100, probe.intervalMs),
    probeTimeoutMs: probe.timeoutMs,
    expectStatus: probe.expectStatus,
    timeoutMs: keys.ready ?? 30_000,
  })
}

/** Names that become members, metrics labels and folders. */
export const servicePattern: RegExp = /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/

export const services: Schema<Record<string, UnnamedService>> = mapOf(service, {
  about: 'Services by name.',
  names: "names such as 'web': small letters, digits and -, at most 40, beginning with a letter",
  pattern: servicePattern,
  entriesMax: 200,
})
