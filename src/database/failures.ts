// Every failure of the database tier: stable codes, what an operator can do. What clients of the router are told carries
// an SQLSTATE as well (`router/sql-errors.ts`).

import { type Catalogue, defineFailures } from '../kit/failure.ts'

type Names = 'serverFailed' | 'serverUnknown' | 'notOurs'

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
})
