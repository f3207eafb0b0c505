// What can go wrong while a system is started, changed or asked about. Owns the catalogue of SYSTEM_... codes. A new
// failure is added here first; the sentence with the particulars is written where it is thrown.

import { type Catalogue, defineFailures, type Failure } from '../kit/failure.ts'

type Names =
  | 'alreadyRunning'
  | 'notRunning'
  | 'stateUnusable'
  | 'stateTooNew'
  | 'portTaken'
  | 'reloadRefused'
  | 'reloadFailed'
  | 'busy'
  | 'edgeUnreachable'
  | 'edgeFailed'
  | 'routerUnreachable'
  | 'routerFailed'
  | 'databaseUnknown'
  | 'databaseWithoutPrimary'
  | 'databaseUncounted'
  | 'databaseUnsharded'
  | 'shardMapMoved'
  | 'shardMapBroken'
  | 'reshardRefused'
  | 'directoryRefused'
  | 'uniqueRefused'
  | 'copyUnknown'
  | 'exportRefused'
  | 'splitRefused'
  | 'databaseUserUnknown'
  | 'databaseRunning'
  | 'backupUnasked'
  | 'restoreRefused'
  | 'startFailed'
  | 'userUnknown'
  | 'unauthorized'
  | 'forbidden'
  | 'hostRefused'
  | 'requestInvalid'
  | 'notFound'
  | 'historyUnknown'
  | 'stopping'
  | 'controlUnreachable'
  | 'internal'
  | 'acmeUnreachable'
  | 'acmeRefused'
  | 'acmeLimited'
  | 'certificateUnknown'
  | 'pairInvalid'
  | 'cacheUnasked'
  | 'guardUnasked'
  | 'keysUnknown'
  | 'sharedCacheUnknown'

export const systemFailures: Catalogue<Names> = defineFailures<Names>('system', {
  alreadyRunning: {
    when: 'A second `tenfold up` is started with a state directory that a running one uses.',
    advice:
      'Use `tenfold status` or `tenfold reload`, stop the running one with `tenfold stop`, or give --state.',
    status: 409,
  },
  notRunning: {
    when: 'A command needs a running system and none uses this state directory.',
    advice: 'Start it with `tenfold up`; give the same file or --state as for `up`.',
    status: 503,
  },
  stateUnusable: {
    when: 'The state directory or a file in it cannot be created, read or written.',
    advice: 'Make it writable for the user that runs Tenfold, or choose another one with --state.',
  },
  stateTooNew: {
    when: 'The state directory was written by a later version of Tenfold in a format that this one does not know.',
    advice: 'Run that later version, or give another --state.',
  },
  portTaken: {
    when: 'A port that the file asks for is held by another program.',
    advice: 'End that program, or change the port in the file; 0 means any free port.',
    status: 409,
  },
  reloadRefused: {
    when: 'A reload changes something that cannot change while the system runs.',
    advice: 'Undo that change, or restart with `tenfold stop` and `tenfold up`.',
    status: 409,
  },
  reloadFailed: {
    when: 'A reload could not be carried out; the system went back to what ran before.',
    advice: 'Read the reason, correct the file and reload again.',
    status: 409,
  },
  busy: {
    when: 'A change is asked for while another one (reload, rollback, restart, scale; of API keys: another command) is under way.',
    advice: 'Wait until the other one has ended and try again.',
    status: 409,
    retry: true,
  },
  edgeUnreachable: {
    when: 'The edge process does not answer on its control socket.',
    advice: 'It is restarted by itself; look into logs/edge.log in the state directory when it persists.',
    status: 503,
    retry: true,
  },
  edgeFailed: {
    when: 'The edge process ended before it was ready, or refused a snapshot.',
    advice: 'Read its last lines (quoted, and in logs/edge.log in the state directory).',
  },
  routerUnreachable: {
    when: 'The process of the database router does not answer on its control socket.',
    advice: 'It is restarted by itself; look into logs/router.log in the state directory when it persists.',
    status: 503,
    retry: true,
  },
  routerFailed: {
    when: 'The process of the database router ended before it was ready, or refused a snapshot.',
    advice: 'Read its last lines (quoted, and in logs/router.log in the state directory).',
  },
  databaseUnknown: {
    when: 'A command names a database that the file does not have, or none where there are several.',
    advice: '`tenfold db status` lists the databases.',
    status: 404,
  },
  databaseWithoutPrimary: {
    when: 'Something needs the primary of a database, and there is none now.',
    advice: '`tenfold db status` says why. It comes back by itself, or with `tenfold db failover`.',
    status: 503,
    retry: true,
  },
  databaseUncounted: {
    when: 'Slow statements are asked for, and no server of the database counts statements.',
    advice:
      'On servers of your own: shared_preload_libraries = pg_stat_statements, a restart, and CREATE EXTENSION pg_stat_statements in the database.',
    status: 422,
  },
  databaseUserUnknown: {
    when: 'A login is asked for a service that has no access to the database.',
    advice: 'Name one that has, or add it to `databases.NAME.access`.',
    status: 404,
  },
  backupUnasked: {
    when: 'A backup, a drill or a restore is asked for of a database whose file has no `backup`.',
    advice: "Add backup: { to: 'FOLDER' } to the database, and reload.",
    status: 409,
  },
  restoreRefused: {
    when: '`tenfold db restore` is told a moment or a name that it cannot be.',
    advice: 'See `tenfold db --help`; `tenfold db backups` says what there is.',
    status: 400,
  },
  databaseRunning: {
    when: '`tenfold db reset` is asked for while the system runs, or what a supervisor that died has left.',
    advice: 'Stop the system with `tenfold stop`; `tenfold up` then makes an empty database.',
    status: 409,
  },
  startFailed: {
    when: 'A service did not become ready while the system was started.',
    advice: 'Read the reason and the quoted output, correct the service or its settings, and start again.',
  },
  userUnknown: {
    when: 'The user that services should run as does not exist, or Tenfold may not become it.',
    advice: 'Name an existing user with --user, or start Tenfold as that user or as root.',
  },
  unauthorized: {
    when: 'A request to the control API carries no token, or one that is not valid.',
    advice:
      'Send `Authorization: Bearer TOKEN` with a token from the state directory (`token` or tokens.json).',
    status: 401,
  },
  forbidden: {
    when: "The token's scope does not allow what the request asks for, or the request comes from another origin.",
    advice: 'Use a token with the scope that the message names.',
    status: 403,
  },
  hostRefused: {
    when: 'The Host header of a request to the control API names neither the loopback nor the configured address.',
    advice: 'Use the control URL that `tenfold status` shows.',
    status: 421,
  },
  requestInvalid: {
    when: 'A request to the control API has parameters or a body that do not fit its schema.',
    advice: 'Compare with /openapi.json.',
    status: 400,
  },
  notFound: {
    when: 'The control API has no such path or method.',
    advice: 'See /openapi.json for what there is.',
    status: 404,
  },
  historyUnknown: {
    when: 'A rollback names a checked system that the history does not hold.',
    advice: '`tenfold history` lists what there is.',
    status: 404,
  },
  stopping: {
    when: 'A change is asked for while the system is stopping.',
    advice: 'Start it again with `tenfold up`.',
    status: 503,
  },
  controlUnreachable: {
    when: 'The control API does not answer at the address that the state directory names.',
    advice:
      'Look whether `tenfold up` still runs; when its process hangs, end it and run `tenfold up` again.',
    status: 503,
    retry: true,
  },
  acmeUnreachable: {
    when: 'The authority that certificates are asked of (ACME) does not answer, or is out of order.',
    advice:
      'It is tried again by itself, ever more rarely; until then the certificate that is there is served. Look whether this machine reaches the directory of `edge.tls.acme`.',
    status: 502,
    retry: true,
  },
  databaseUnsharded: {
    when: '`tenfold db shards` is asked of a database whose file has no `shards`.',
    advice: 'Name a database that has `shards`.',
    status: 404,
  },
  shardMapMoved: {
    when: 'The file gives a sharded database another number of shards, or a table another key or rule, than its rows were placed by.',
    advice:
      'Put back what the file said before; rows move by resharding only. To another rule for the same key: `tenfold db reshard --rule TABLE`, then reload.',
    status: 422,
  },
  reshardRefused: {
    when: 'A resharding is asked for that can not be, or not now: nothing would move, a shard is not in the file, or another one is under way.',
    advice: 'Do as the sentence says; `tenfold db reshard --status` shows what is under way.',
    status: 409,
  },
  directoryRefused: {
    when: 'Something is asked of a directory of keys that can not be: a table has none, a key is of another type or has its place already, or has none to move from.',
    advice: 'Do as the sentence says; `tenfold db directory TABLE` shows what there is.',
    status: 409,
  },
  uniqueRefused: {
    when: 'Columns that are unique over all shards are to be compared while rows move between shards.',
    advice: 'Wait for the resharding (`tenfold db reshard --status`), and ask again.',
    status: 409,
  },
  copyUnknown: {
    when: 'A copy is named that the database does not have.',
    advice: "Name one of the file's `copies`; `tenfold db copies` shows them.",
    status: 404,
  },
  exportRefused: {
    when: 'An export is asked for that can not be, or not now: its folder is not empty or can not be written to, rows move between shards, clients would have waited for too long, or a server ended amid it.',
    advice: 'Name an empty folder, and export when fewer long transactions are open.',
    status: 409,
  },
  splitRefused: {
    when: 'A split of a table by columns is asked for that can not be, or not now: the table has what a view over two tables could not keep, the file does not say where its halves lie, or another split or a resharding is under way.',
    advice: 'Do as the sentence says; `tenfold db split-columns --status` shows what is under way.',
    status: 409,
  },
  shardMapBroken: {
    when: 'The file in the state directory that says where the rows of a sharded database live can not be read, or is not whole.',
    advice:
      'Restore shard-maps/NAME.json from a backup of the state directory, or from the table tenfold.shard_map of any shard, which has the same.',
  },
  acmeRefused: {
    when: 'The authority that certificates are asked of (ACME) refuses an order; mostly because it does not find this edge under the name.',
    advice:
      'The name must lead to this edge (DNS), and port 80 of that address to a plain HTTP listener of it. Then `tenfold renew` tries again at once.',
    status: 422,
  },
  acmeLimited: {
    when: 'The authority that certificates are asked of (ACME) wants no further request for a while.',
    advice: 'It is asked again by itself when that time is over.',
    status: 429,
    retry: true,
  },
  certificateUnknown: {
    when: '`tenfold renew` names a host that has no automatic certificate.',
    advice:
      "Name one of `edge.tls.acme.hosts`, or none for all of them; certificates that come from files are their owner's to renew.",
    status: 404,
  },
  pairInvalid: {
    when: '`tenfold export keepalived` is told something that keepalived could not work with, or the system file has no health listener.',
    advice: 'See docs/operate/redundant-pair.md.',
    status: 422,
  },
  cacheUnasked: {
    when: "Something is asked of the edge's cache, and no route of the running file has one.",
    advice: 'Give a route `cache: true`, and reload.',
    status: 422,
  },
  guardUnasked: {
    when: 'Something is asked of the guard, and the running file has none.',
    advice: 'Give the file a `guard` with a policy, name it at a route, and reload.',
    status: 422,
  },
  keysUnknown: {
    when: '`tenfold guard key` names keys that the file does not have in `guard.identity.keys`, or an id that no key has.',
    advice: '`tenfold guard key list` shows the keys, and whose they are.',
    status: 404,
  },
  sharedCacheUnknown: {
    when: '`tenfold cache` names a shared cache that the running file does not have in `caches`.',
    advice: 'Name one that is there by --redis, or add it to `caches`, and reload.',
    status: 404,
  },
  internal: {
    when: 'A fault inside Tenfold: a bug of ours.',
    advice: 'Please report it with the log lines around it (logs/tenfold.log in the state directory).',
  },
})

/** What to do about a failure: the particular remedy where the thrower knew one, else its kind's advice. */
export function remedyOf(failure: Failure): string {
  const { remedy } = failure.details
  return typeof remedy === 'string' ? remedy : failure.kind.advice
}
