// A process that writes behind a journal and says what was acknowledged, until somebody kills it: `node behind-child.ts
// JOURNAL`. Its source never takes anything, so all that it says must be in the journal.

import { writeSync } from 'node:fs'
import { createCache, openStore } from '../index.ts'

const cache = createCache({ name: 'child' })
const store = await openStore<number>(cache, {
  name: 'n',
  strategy: 'write-behind',
  source: {
    load: () => null,
    save: () => Promise.reject(new Error('the source is away')),
  },
  behind: { journal: process.argv[2]!, delayMs: 0 },
})
for (let n = 1; ; n++) {
  await Promise.all([0, 1, 2].map(key => store.put(`key${(n + key) % 7}`, n)))
  writeSync(1, `${n}\n`)
}
