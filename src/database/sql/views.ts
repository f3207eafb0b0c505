// Which relations hide what only the primary may be asked: views by their definitions, and views of those. Reading names
// only; what a name means is judge.ts's business.

import { namesVerdict } from './judge.ts'
import { loadParser, parsed } from './parse.ts'

export interface ViewText {
  readonly schema: string
  readonly name: string
  readonly text: string
}

/** `schema.name` of those built-in views that show a server's own state, and `name` where no schema is needed. */
export async function localViews(views: readonly ViewText[]): Promise<string[]> {
  await loadParser()
  const local = new Set<string>()
  for (let before = -1; before !== local.size; ) {
    before = local.size
    for (const view of views) if (isLocal(view, local)) local.add(`${view.schema}.${view.name}`)
  }
  return [...local].sort()
}

function isLocal(view: ViewText, local: ReadonlySet<string>): boolean {
  const result = parsed(view.text)
  if (result.kind !== 'facts') return true
  const { facts } = result
  if (facts.place === 'primary' || namesVerdict(facts.functions, [], null, false) !== null) return true
  return [...facts.relations].some(
    name => local.has(name) || local.has(`${view.schema}.${name}`) || local.has(`pg_catalog.${name}`),
  )
}
