// A process that fills a store with a disk tier until it is killed. What it says is purged was acknowledged.

import { MainStore } from '../../main-store.ts'
import { createStoreMemory } from '../../store-memory.ts'
import { put, spec } from '../../testing/use.ts'
import { ThreadStore } from '../../worker-store.ts'

const directory = process.argv[2] as string
const disk = { directory, bytes: 67_108_864, objectBytesMax: 67_108_864 }
const memory = createStoreMemory({ ...spec, memoryBytes: 1_048_576, disk }, 1)
const main = new MainStore(memory, text => console.error(text))
const store = new ThreadStore(memory, 0)
await main.ready
for (let i = 0; i < 4_000; i++) {
  put(store, `a.example /${i}`, 'k'.repeat((i * 131) % 30_000))
  store.keep(`a.example /${i}`)
  if (i % 10 === 9) await new Promise(resolve => setTimeout(resolve, 5))
  // Some that are on the disk by now, and some that are on their way there.
  if (i % 10 !== 3 || i < 100) continue
  const gone = i - (i % 100 === 3 ? 0 : 80)
  await main.purge({ keys: [`a.example /${gone}`] })
  console.log(`purged ${gone}`)
}
setInterval(() => {}, 1_000)
