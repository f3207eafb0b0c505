// ROLLBACK and ROLLBACK TO on a seat. A request to cancel a statement that failed by itself may come late, while the server is
// at the next one: what takes back is said again then.

import type { SeatEnd, ShardSeat } from './contract.ts'

/** One request is on its way at a time, and no more are sent once the statement has ended. */
const triesMax = 3
/** query_canceled */
const canceled = '57014'

export async function undo(seat: ShardSeat, sql: string): Promise<SeatEnd> {
  for (let tries = 1; ; tries++) {
    const end = await seat.command(sql)
    if (end.error?.code !== canceled || tries === triesMax) return end
  }
}
