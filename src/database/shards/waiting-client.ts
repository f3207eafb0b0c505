// One client's part in deadlocks over shards: where it works, and how its wait ends when it is the one that gives way.

import { errorResponse } from '../../wire/postgres/index.ts'
import type { WaitingClient } from './deadlocks.ts'
import type { Seats } from './seats.ts'
import type { ShardTransaction } from './transaction.ts'

/** To who gives way, in place of the server's word. */
const deadlockFrame: Buffer = errorResponse({
  severity: 'ERROR',
  code: '40P01',
  message: 'deadlock detected',
  detail: 'Clients waited for each other on several shards; this was the youngest transaction.',
  hint: 'Try the transaction again.',
})

export function waitingClient(name: string, transaction: ShardTransaction, seats: Seats): WaitingClient {
  // Also outside of transactions: a statement on several shards has its locks on all of them.
  const all = [...new Set([...transaction.members, ...seats.atWork])]
  const { twoPhases } = transaction
  return {
    name,
    processes: all.flatMap(({ id, session }) =>
      session.server === null ? [] : [{ shard: id, processId: session.server.processId }],
    ),
    commit: twoPhases === null ? null : { name: twoPhases.name, decided: twoPhases.gate.decided },
    giveWay: shards => {
      if (twoPhases !== null) twoPhases.gate.giveUp(deadlockFrame)
      else if (!transaction.committing)
        for (const seat of all) if (shards.includes(seat.id) && !seat.free) seat.cancel(deadlockFrame)
    },
  }
}
