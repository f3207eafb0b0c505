// Plans of texts, remembered by text. A text is parsed by PostgreSQL's own parser; each of its statements gets a plan of its
// own, and its own piece of the text.

import { parseSync } from 'libpg-query'
import type { ShardMap } from '../../../policy/shard/contract.ts'
import { Generations } from '../generations.ts'
import { withoutComments } from '../lexer.ts'
import { field, list, number, opened, type Tree } from '../tree.ts'
import type { ShardedCatalogue, ShardPlan } from './contract.ts'
import { filteredPlan } from './moving.ts'
import { otherPlan } from './others.ts'
import { refuse } from './refusals.ts'
import { tokenEnd } from './scan.ts'
import { Surveyor } from './scope.ts'
import { selectPlan } from './select.ts'
import { hasUnique, notesUnique } from './unique.ts'
import { writePlan } from './writes.ts'

export interface PlannedStatement {
  /** The statement's own piece of the text, without comments. */
  readonly text: string
  readonly plan: ShardPlan
  /** It may change columns that are unique over all shards: what their triggers noted has to be taken. */
  readonly notes?: true
}

export interface PlanSession {
  readonly searchPath: readonly string[]
  readonly allowBroadcast: boolean
}

export interface ShardPlanner {
  /** One for each statement of the text; none for an empty one. */
  plan(text: string, session: PlanSession): readonly PlannedStatement[]
  /**
   * Of a new map, or after the tables have changed: what was planned before is forgotten.
   * @param moving families whose rows may lie on two shards
   */
  learn(map: ShardMap, catalogue: ShardedCatalogue, moving?: readonly string[]): void
}

const nothingMoves: ReadonlySet<string> = new Set()
const nothing: ShardedCatalogue = { tables: new Map(), calm: new Set() }
/** Longer texts are not parsed: they take the parser's memory. */
const textCharsMax = 1_000_000
const textsMax = 5_000
const charsMax = 8_000_000

/** Of the schema `tenfold`, and look-up tables: whoever called them would undo what they keep. */
const ownNames = /\btenfold_unique\b|\btenfold"?\s*\.\s*"?unique_/i
/** They might spell these. */
const escapedName = /\bU&"/i

/** The parser must have been loaded (`loadParser`). */
export function createShardPlanner(options: { map: ShardMap; catalogue?: ShardedCatalogue }): ShardPlanner {
  let { map, catalogue = nothing } = options
  let moves = nothingMoves
  const memories = new Map<string, Generations<readonly PlannedStatement[]>>()

  const memoryOf = ({
    searchPath,
    allowBroadcast,
  }: PlanSession): Generations<readonly PlannedStatement[]> => {
    const key = `${allowBroadcast} ${searchPath.join('\0')}`
    let memory = memories.get(key)
    if (memory === undefined) {
      if (memories.size >= 20) memories.clear()
      memory = new Generations({ entriesMax: textsMax, charactersMax: charsMax })
      memories.set(key, memory)
    }
    return memory
  }

  return {
    plan(text, session) {
      const memory = memoryOf(session)
      const known = memory.get(text)
      if (known !== undefined) return known
      const made = planned(text, session, map, catalogue, moves)
      memory.set(text, made)
      return made
    },
    learn(nextMap, nextCatalogue, moving = []) {
      map = nextMap
      catalogue = nextCatalogue
      moves = moving.length === 0 ? nothingMoves : new Set(moving)
      memories.clear()
    },
  }
}

function planned(
  text: string,
  session: PlanSession,
  map: ShardMap,
  catalogue: ShardedCatalogue,
  moves: ReadonlySet<string> = nothingMoves,
): readonly PlannedStatement[] {
  if (text.length > textCharsMax)
    return [{ text, plan: refuse('shard-statement', `The text is longer than ${textCharsMax} characters.`) }]
  const clean = withoutComments(text)
  if (clean.trim() === '') return []
  if (ownNames.test(clean))
    return [{ text, plan: refuse('shard-statement', "What keeps columns unique is Tenfold's own.") }]
  if (escapedName.test(clean) && hasUnique(map))
    return [{ text, plan: refuse('shard-statement', 'Names with escapes, U&"...", are not taken.') }]
  let statements: readonly Tree[]
  try {
    statements = list(parseSync(clean) as unknown as Tree, 'stmts')
  } catch (error) {
    // A server says what is wrong with it; what only this parser can't take is not for several shards.
    const plan: ShardPlan =
      error instanceof Error && error.name === 'SqlError'
        ? { kind: 'one', on: 'any', writes: false }
        : refuse('shard-statement', 'The statement is nested too deeply to be understood.')
    return [{ text, plan }]
  }
  const bytes = Buffer.from(clean)
  const unique = hasUnique(map)
  return statements.map(statement => {
    const from = number(statement, 'stmt_location')
    const length = number(statement, 'stmt_len')
    const own = bytes.utf8Slice(from, length === 0 ? bytes.length : from + length)
    // Places in the tree count from the text's beginning: alone, the statement is parsed again.
    const tree = from === 0 ? statement : (list(parseSync(own) as unknown as Tree, 'stmts')[0] ?? statement)
    const whole = length === 0 && from === 0 ? own.replace(/;\s*$/, '') : own
    const node = field(tree, 'stmt') ?? {}
    const plan = planOf(node, whole, session, map, catalogue)
    const context = { map, catalogue, searchPath: session.searchPath }
    const notes = unique && notesUnique(...opened(node), plan, context) ? { notes: true as const } : {}
    if (moves.size === 0) return { text: whole, plan, ...notes }
    return { text: whole, plan: filteredPlan(plan, opened(node)[0], whole, context, moves), ...notes }
  })
}

function planOf(
  node: Tree,
  text: string,
  session: PlanSession,
  map: ShardMap,
  catalogue: ShardedCatalogue,
): ShardPlan {
  const [type, statement] = opened(node)
  const context = { map, catalogue, searchPath: session.searchPath }
  switch (type) {
    case 'SelectStmt': {
      if (field(statement, 'intoClause') !== undefined)
        return refuse('shard-create-as', 'SELECT INTO would make another table on each shard.')
      const surveyor = new Surveyor(context)
      surveyor.select(statement, null)
      const { survey } = surveyor
      const [unknown] = survey.unknown
      if (unknown !== undefined)
        return refuse('shard-table-unknown', `Table '${unknown}' is not among the sharded database's tables.`)
      if (survey.nestedWrites) return refuse('shard-nested-write', 'A WITH of the statement writes.')
      return selectPlan({ text, select: statement, survey, map })
    }
    case 'ExplainStmt':
      return explainPlan(statement, text, session, map, catalogue)
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return writePlan(type, statement, { ...context, allowBroadcast: session.allowBroadcast, text })
    default: {
      const inner = (one: Tree): ShardPlan => planOf(one, text, session, map, catalogue)
      const plan = otherPlan(type, statement, context, inner)
      return plan ?? refuse('shard-statement', 'The statement is not known to the planner of shards.')
    }
  }
}

const explained = /^(select|insert|update|delete|merge|with|values|table|declare|create|refresh|execute)$/i

/** Its statement is planned by itself, as its own text. */
function explainPlan(
  statement: Tree,
  text: string,
  session: PlanSession,
  map: ShardMap,
  catalogue: ShardedCatalogue,
): ShardPlan {
  const bytes = Buffer.from(text)
  let depth = 0
  let sql = ''
  for (let at = 0; at < bytes.length && sql === ''; ) {
    const end = tokenEnd(bytes, at)
    if (bytes[at] === 0x28 && at > 0 && !/^explain\s*$/i.test(bytes.utf8Slice(0, at)) && depth === 0)
      sql = bytes.utf8Slice(at, bytes.length)
    else if (bytes[at] === 0x28) depth++
    else if (bytes[at] === 0x29) depth--
    else if (depth === 0 && explained.test(bytes.latin1Slice(at, end)))
      sql = bytes.utf8Slice(at, bytes.length)
    at = end
  }
  const of = planned(sql, session, map, catalogue)[0]?.plan
  if (of === undefined) return refuse('shard-statement', 'What is to be explained could not be found.')
  if (of.kind === 'refuse') return of
  const analyze = list(statement, 'options').some(one => {
    const option = field(one, 'DefElem')
    const off = /^(off|false|0)$/i.test(String(field(field(option, 'arg'), 'String')?.sval ?? ''))
    return option?.defname === 'analyze' && !off
  })
  return { kind: 'explain', of, sql, analyze }
}
