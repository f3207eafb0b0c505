// A thread that opens and closes connections of a few addresses as fast as it can, and tells the most that were open at
// once of one of them, over all threads.

import { threadContext } from '../../../io/threads.ts'
import { seededRandom } from '../../../kit/random.ts'
import { AddressCounts } from '../address-counts.ts'

export interface HammerOrder {
  readonly memory: SharedArrayBuffer
  /** Open now, by address: counted only while the table says that they are. */
  readonly live: SharedArrayBuffer
  readonly worker: number
  readonly max: number
  readonly rounds: number
  readonly seed: number
}

const addresses = 16

const { data, port } = threadContext<HammerOrder>()
const counts = new AddressCounts(data.memory, data.worker)
const live = new Int32Array(data.live)
const random = seededRandom(data.seed)
const open: { address: number; token: number }[] = []
let worst = 0

function close(): void {
  const one = open.splice(random.below(open.length), 1)[0] as (typeof open)[number]
  // Before the table knows: whoever is let in because of it was not above the bound.
  Atomics.sub(live, one.address, 1)
  counts.close(one.token)
}

for (let round = 0; round < data.rounds; round++) {
  if (open.length > 20 || (open.length > 0 && random.below(2) === 0)) close()
  const address = random.below(addresses)
  const token = counts.open(`address ${address}`, data.max)
  if (token < 0) continue
  worst = Math.max(worst, Atomics.add(live, address, 1) + 1)
  open.push({ address, token })
}
while (open.length > 0) close()
port.postMessage(worst)
