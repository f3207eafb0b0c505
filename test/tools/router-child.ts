// A router in a process of its own, for tests that kill it: gets its snapshot by message, says the ports of its databases.

import { createRouter } from '../../src/database/router/router.ts'
import type { RouterSnapshot } from '../../src/database/router/snapshot.ts'

process.once('message', (snapshot: RouterSnapshot) => {
  void createRouter({ snapshot, tell: () => {} }).then(router => {
    const ports = snapshot.databases.map(({ name }) => [name, router.portOf(name)])
    process.send?.(Object.fromEntries(ports))
  })
})
process.once('disconnect', () => process.exit(0))
