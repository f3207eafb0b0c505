// A process that runs a group of servers, for tests of what happens when it dies or is nobody special. Arguments: what to
// do, and the options of the group as JSON. Says on stdout, a JSON line each, how far it is.

import { type GroupOptions, serverGroup, streams } from './servers-harness.ts'

const [what, json] = process.argv.slice(2) as [string, string]
const ends: (() => unknown)[] = []
const t = { after: (end: () => unknown) => void ends.push(end) } as never
const say = (fields: object): void => console.log(JSON.stringify(fields))

const group = await serverGroup(t, JSON.parse(json) as GroupOptions)
const { servers } = group
if (what === 'life') {
  await servers.create('main-1')
  await servers.clone('main-2', 'main-1', () => {})
  await streams(servers, 'main-2')
  await servers.fence('main-1')
  await servers.promote('main-2')
  const followed = await servers.follow('main-1', 'main-2')
  const look = await servers.observe('main-2', 10_000)
  say({ followed, writes: look.writes, timeline: look.position.timeline, uid: process.geteuid?.() })
  for (const end of ends) await end()
} else {
  // The group is running already: the copy is all that is to be done, and whoever started us ends us in it.
  say({ copying: true })
  await servers.clone('main-2', 'main-1', (sentence, done, total) => say({ sentence, done, total }))
  say({ copied: true })
  servers.release()
}
