import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import type { ShardMap } from '../../../policy/shard/contract.ts'
import { loadParser } from '../parse.ts'
import type { CatalogueTable, ShardPlan } from './contract.ts'
import { createShardPlanner, loadDeparser, type ShardPlanner, shardRefusalCodes } from './index.ts'

const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ['1', '2'],
  families: {
    'public.customers': { types: ['bigint'], rule: { by: 'hash', slots: [0, 1] } },
    'public.tenants': { types: ['text'], rule: { by: 'hash', slots: [0, 1] } },
  },
  tables: {
    'public.customers': { kind: 'sharded', family: 'public.customers', key: ['id'] },
    'public.orders': { kind: 'sharded', family: 'public.customers', key: ['customer_id'] },
    'public.tenants': { kind: 'sharded', family: 'public.tenants', key: ['name'] },
    'public.films': { kind: 'everywhere' },
    'public.log': { kind: 'round-robin' },
    'public.legacy': { kind: 'on', shard: '2' },
  },
}

function table(columns: string, unique: readonly string[] = []): CatalogueTable {
  return {
    kind: 'table',
    columns: columns.split(', ').map(one => {
      const [name = '', type = ''] = one.split(':')
      return {
        name,
        type,
        collation: type === 'text' ? 'default' : '',
        notNull: false,
        volatileDefault: name === 'serial',
        generated: false,
        hasDefault: false,
      }
    }),
    unique: [unique],
    cascades: false,
    triggers: false,
  }
}

const catalogue = {
  tables: new Map([
    ['public.customers', table('id:bigint, name:text, city:text', ['id'])],
    ['public.orders', table('customer_id:bigint, id:bigint, film_id:bigint, price:numeric, note:text')],
    ['public.tenants', table('name:text, plan:text')],
    ['public.films', table('id:bigint, title:text, serial:bigint')],
    ['public.log', table('line:text')],
    ['public.legacy', table('id:bigint')],
  ]),
  calm: new Set<string>(),
}

let planner: ShardPlanner
before(async () => {
  await loadParser()
  await loadDeparser()
  planner = createShardPlanner({ map, catalogue })
})

/** A plan in few words. */
function said(text: string, allowBroadcast = false): string {
  return planner
    .plan(text, { searchPath: ['public'], allowBroadcast })
    .map(({ plan }) => words(plan))
    .join(' | ')
}

function words(plan: ShardPlan): string {
  switch (plan.kind) {
    case 'one':
      return typeof plan.on === 'string' ? plan.on : `shard ${plan.on.shard}`
    case 'keys': {
      const across = 'how' in plan.across ? plan.across.how : plan.across.code
      const keys = plan.keys.map(tuple =>
        tuple
          .map(one =>
            one.from === 'literal' ? String(one.text) : `$${one.index + 1}${one.array ? '[]' : ''}`,
          )
          .join('/'),
      )
      return `keys ${keys.join(',')}${plan.writes ? ' writes' : ''} else ${across}`
    }
    case 'all':
      return `all${plan.writes ? ' writes' : ''} ${plan.across.how}`
    case 'refuse':
      return plan.refusal.code
    case 'ddl':
      return plan.transactional ? 'ddl' : 'ddl apart'
    case 'cursor':
      return `cursor ${plan.name}${plan.declares === null ? '' : ` of ${words(plan.declares)}`}`
    case 'explain':
      return `explain ${words(plan.of)}`
    default:
      return plan.kind
  }
}

function each(cases: readonly (readonly [string, string])[], allowBroadcast = false): void {
  for (const [text, plan] of cases) assert.equal(said(text, allowBroadcast), plan, text)
}

test('a key is found where it holds for every row', () => {
  each([
    ['SELECT * FROM orders WHERE customer_id = 5', 'keys 5 else concat'],
    ['SELECT * FROM orders WHERE 5 = customer_id AND id > 3', 'keys 5 else concat'],
    ['SELECT * FROM public.orders o WHERE o.customer_id = $1', 'keys $1 else concat'],
    ['SELECT * FROM orders WHERE customer_id = $1::bigint', 'keys $1 else concat'],
    ["SELECT * FROM orders WHERE customer_id = '7'", 'keys 7 else concat'],
    ['SELECT * FROM orders WHERE customer_id IN (1, 2, $1)', 'keys 1,2,$1 else concat'],
    ['SELECT * FROM orders WHERE customer_id = ANY($1)', 'keys $1[] else concat'],
    ['SELECT * FROM orders JOIN customers c ON c.id = customer_id WHERE c.id = 5', 'keys 5 else concat'],
    [
      'SELECT count(*) FROM customers c, orders o WHERE o.customer_id = c.id AND c.id = $2',
      'keys $2 else combine',
    ],
    [
      'SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 1',
      'keys 1 else concat',
    ],
    [
      'SELECT (SELECT max(id) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE id = 4',
      'keys 4 else combine',
    ],
    ['WITH mine AS (SELECT * FROM orders WHERE customer_id = 3) SELECT * FROM mine', 'keys 3 else combine'],
    [
      'SELECT id FROM orders WHERE customer_id = 1 UNION SELECT id FROM customers WHERE id = 1',
      'keys 1 else combine',
    ],
    ['SELECT * FROM orders JOIN films ON films.id = film_id WHERE customer_id = 5', 'keys 5 else concat'],
    ['SELECT * FROM orders WHERE customer_id = 5 FOR UPDATE', 'keys 5 writes else shard-row-lock'],
  ])
})

test('what does not hold for every row is no key', () => {
  each([
    ['SELECT * FROM orders WHERE customer_id = 5 OR id = 1', 'all concat'],
    ['SELECT * FROM orders WHERE NOT (customer_id = 5)', 'all concat'],
    ['SELECT * FROM orders WHERE customer_id = 5.5', 'all concat'],
    ["SELECT * FROM orders WHERE customer_id::text = '5'", 'all concat'],
    ['SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND c.id = 5', 'all concat'],
    [
      'SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.customer_id = 5',
      'all concat',
    ],
    [
      'SELECT * FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.customer_id = 5)',
      'all combine',
    ],
    ['SELECT * FROM customers c WHERE c.id = 5 AND EXISTS (SELECT FROM orders WHERE id = 1)', 'all combine'],
    ['SELECT * FROM (SELECT * FROM orders) o WHERE customer_id = 5', 'all combine'],
    [
      'WITH customers AS (SELECT 1 AS id) SELECT * FROM orders, customers c WHERE c.id = customer_id',
      'all combine',
    ],
    ['SELECT * FROM customers, tenants WHERE customers.id = 1 AND tenants.name = $1', 'all combine'],
  ])
})

test('tables that are not sharded by a key', () => {
  each([
    ['SELECT * FROM films', 'any'],
    ['SELECT 1', 'any'],
    ['SELECT pg_advisory_lock(1)', 'fixed'],
    ['SELECT * FROM pg_class', 'fixed'],
    ['SELECT * FROM legacy', 'shard 2'],
    ['SELECT * FROM legacy JOIN films USING (id)', 'shard 2'],
    ['SELECT * FROM legacy JOIN orders USING (id)', 'all combine'],
    ['SELECT * FROM log', 'all concat'],
    ['SELECT nextval($1)', 'shard-sequence'],
    ['SELECT * FROM elsewhere', 'shard-table-unknown'],
    ['SELECT * FROM other.orders', 'shard-table-unknown'],
    ['SELECT', 'any'],
    ['SELEC 1', 'any'],
    ['', ''],
    ['-- nothing', ''],
  ])
})

test('what rows of several shards must meet for is combined', () => {
  each([
    ['SELECT count(*) FROM orders', 'all combine'],
    ['SELECT DISTINCT note FROM orders', 'all combine'],
    ['SELECT * FROM orders ORDER BY id LIMIT 3', 'all merge'],
    ['SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id', 'all concat'],
    ['SELECT * FROM orders o JOIN customers c ON c.id = o.id', 'all combine'],
    ['SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id AND o.price > 3', 'all concat'],
    ['SELECT my_function(id) FROM orders', 'shard-function'],
  ])
  const [one] = planner.plan(
    'SELECT array_agg(o.price) FROM public.orders o JOIN films ON films.id = o.film_id WHERE o.price > $1',
    {
      searchPath: ['public'],
      allowBroadcast: false,
    },
  )
  assert.ok(one?.plan.kind === 'all' && one.plan.across.how === 'combine')
  const { across } = one.plan
  assert.equal(
    across.sql,
    'SELECT array_agg(o.price) FROM tenfold_part_1 o JOIN films ON films.id = o.film_id WHERE o.price > $1',
  )
  assert.deepEqual(
    across.parts.map(part => part.sql.replaceAll(/\s+/g, ' ')),
    ['SELECT "id", "film_id", "price" FROM "public"."orders" AS "o" WHERE (o.price > $1)'],
  )
  assert.equal(across.everywhere.parts.length, 2)
})

/** How the rows of several shards become one answer: what each shard is asked, and what is made of it. */
function shape(text: string): readonly string[] {
  const [one] = planner.plan(text, { searchPath: ['public'], allowBroadcast: false })
  assert.ok(one?.plan.kind === 'all', text)
  const { across } = one.plan
  const flat = (sql: string | null): string => (sql ?? 'as it is').replaceAll(/\s+/g, ' ')
  if (across.how === 'combine')
    return [
      ...across.parts.map(part => `${part.columns.map(column => column.type)}: ${flat(part.sql)}`),
      flat(across.sql),
    ]
  if (across.how === 'merge')
    return [
      flat(across.sql),
      ...across.order.map(
        key =>
          `${key.column} ${key.compare}${key.descending ? ' desc' : ''}${key.nullsFirst ? ' nulls first' : ''}`,
      ),
      `hidden ${across.hidden}`,
    ]
  return across.how === 'concat' ? [flat(across.sql)] : [across.how]
}

test('rows of one key are of one shard: groups, DISTINCT and windows by the key are not combined', () => {
  each([
    ['SELECT customer_id, count(*) FROM orders GROUP BY customer_id HAVING count(*) > 1', 'all concat'],
    ['SELECT customer_id, count(DISTINCT id) FROM orders GROUP BY 1, film_id', 'all concat'],
    ['SELECT DISTINCT customer_id, note FROM orders', 'all concat'],
    ['SELECT DISTINCT ON (customer_id) id FROM orders ORDER BY customer_id, id', 'all combine'],
    ['SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY id) FROM orders', 'all concat'],
    ['SELECT id, rank() OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY id)', 'all concat'],
    ['SELECT id, rank() OVER (ORDER BY id) FROM orders', 'all combine'],
    ['SELECT film_id, count(DISTINCT id) FROM orders GROUP BY film_id', 'all combine'],
    ['SELECT customer_id, count(*) FROM orders GROUP BY ROLLUP (customer_id)', 'all combine'],
    // Its NULLs are rows of customers on every shard.
    [
      'SELECT o.customer_id, count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY 1',
      'all combine',
    ],
    ['SELECT * FROM films f LEFT JOIN orders o ON o.film_id = f.id', 'all combine'],
    ['SELECT * FROM customers c RIGHT JOIN orders o ON o.customer_id = c.id', 'all combine'],
    [
      'SELECT * FROM customers a CROSS JOIN customers b LEFT JOIN orders o ON o.customer_id = a.id AND o.customer_id = b.id',
      'all combine',
    ],
    ['SELECT * FROM customers a LEFT JOIN orders o ON o.id = a.id WHERE o.customer_id = a.id', 'all concat'],
  ])
})

test('each shard is asked for as many rows as may be needed, in order', () => {
  assert.deepEqual(shape('SELECT * FROM orders LIMIT 3 OFFSET 2'), ['SELECT * FROM orders LIMIT 5'])
  assert.deepEqual(shape('SELECT id FROM orders OFFSET 2'), ['SELECT id FROM orders'])
  assert.deepEqual(shape('SELECT id FROM orders LIMIT $1 OFFSET $2'), [
    'SELECT id FROM orders LIMIT CAST($1 AS bigint) + CAST($2 AS bigint)',
  ])
  assert.deepEqual(
    shape('SELECT note FROM orders o ORDER BY o.id DESC, 1 LIMIT $1'),
    [
      'text,bigint: SELECT "id", "note" FROM "public"."orders" AS "o"',
      'SELECT note FROM tenfold_part_1 o ORDER BY o.id DESC, 1 LIMIT $1',
    ].map((line, at) => (at === 0 ? line.replace('text,bigint', 'bigint,text') : line)),
  )
  assert.deepEqual(shape('SELECT note FROM orders o ORDER BY o.id DESC, price NULLS FIRST LIMIT $1'), [
    'SELECT note, o.id, price FROM orders AS o ORDER BY o.id DESC, price NULLS FIRST LIMIT $1',
    '1 number desc nulls first',
    '2 number nulls first',
    'hidden 2',
  ])
  assert.deepEqual(
    shape('SELECT o.*, c.name FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.price'),
    [
      'SELECT o.*, c.name FROM orders AS o JOIN customers AS c ON c.id = o.customer_id ORDER BY o.price',
      '3 number',
      'hidden 0',
    ],
  )
  // A name alone is the result's column.
  assert.deepEqual(shape('SELECT id AS price, price AS id FROM orders ORDER BY id'), [
    'SELECT id AS price, price AS id FROM orders ORDER BY id',
    '1 number',
    'hidden 0',
  ])
  each([
    ['SELECT id + 1 AS price FROM orders ORDER BY price', 'all combine'],
    ['SELECT id FROM orders ORDER BY note', 'all combine'],
    ['SELECT id FROM orders ORDER BY id FETCH FIRST 3 ROWS WITH TIES', 'all combine'],
    ['SELECT DISTINCT customer_id FROM orders ORDER BY customer_id', 'all merge'],
    ['SELECT id FROM orders LIMIT 1 + 1', 'all combine'],
  ])
})

test('aggregates are sums of sums where these are exact', () => {
  assert.deepEqual(shape('SELECT count(*) FROM orders'), [
    'bigint: SELECT count(*) AS tenfold_column_1 FROM orders',
    'SELECT CAST(COALESCE(sum(tenfold_column_1), 0) AS bigint) AS count FROM tenfold_part_1',
  ])
  each([
    ['SELECT string_agg(note, note) FROM orders', 'all combine'],
    ['SELECT count(DISTINCT id) FROM orders', 'all combine'],
  ])
  const grouped = shape(
    'SELECT film_id, avg(price) AS mean, max(id) FROM orders WHERE id > $1 GROUP BY film_id HAVING sum(price) > 3 ORDER BY mean DESC LIMIT 2',
  )
  assert.deepEqual(grouped, [
    'bigint,numeric,bigint,bigint: SELECT film_id AS tenfold_column_1, sum(price) AS tenfold_column_2, count(price) AS tenfold_column_3, max(id) AS tenfold_column_4 FROM orders WHERE id > $1 GROUP BY film_id',
    'SELECT tenfold_column_1 AS film_id, sum(tenfold_column_2) / sum(tenfold_column_3) AS mean, max(tenfold_column_4) AS max FROM tenfold_part_1 GROUP BY tenfold_column_1 HAVING sum(tenfold_column_2) > 3 ORDER BY mean DESC LIMIT 2',
  ])
})

test('names of columns that a statement gives, and what a shard knows of its own rows only, are no keys', () => {
  each([
    ['SELECT * FROM orders AS o (id, customer_id) WHERE customer_id = 5', 'all combine'],
    ['SELECT * FROM orders AS o (id, customer_id) WHERE o.customer_id = 5', 'all combine'],
    ['SELECT ctid, * FROM orders', 'shard-statement'],
    ['SELECT ctid, * FROM orders WHERE customer_id = 5', 'keys 5 else shard-statement'],
    ['SELECT json_arrayagg(id) FROM orders', 'all combine'],
    ['SELECT jsonb_object_agg_unique(id, 1) FROM orders', 'all combine'],
    ['SELECT pg_advisory_xact_lock(1) FROM orders WHERE customer_id = 5', 'shard-lock'],
    ["SELECT nextval('s') FROM orders WHERE customer_id = 5", 'shard-sequence'],
    ['SELECT * FROM orders WHERE customer_id = ANY ($1::bigint[])', 'keys $1[] else concat'],
    ['SELECT * FROM orders WHERE customer_id = ANY ($1::numeric[])', 'all concat'],
    ['SELECT * FROM orders WHERE customer_id = ANY (ARRAY[1, $2])', 'keys 1,$2 else concat'],
    ['SELECT * FROM customers JOIN customers c USING (id) WHERE id = 3', 'keys 3 else concat'],
    ['SELECT * FROM customers LEFT JOIN customers c USING (id) WHERE id = 3', 'keys 3 else concat'],
    ['SELECT * FROM customers FULL JOIN customers c USING (id) WHERE id = 3', 'all combine'],
  ])
})

test('INSERT goes where its key belongs', () => {
  each([
    ['INSERT INTO orders (customer_id, id) VALUES (1, 2)', 'keys 1 writes else shard-write-tables'],
    ['INSERT INTO orders VALUES ($1, 2, 3, 4, 5)', 'keys $1 writes else shard-write-tables'],
    [
      "INSERT INTO orders (id, customer_id) VALUES (1, 2), (2, '3') RETURNING id",
      'keys 2,3 writes else split-insert',
    ],
    ['INSERT INTO orders (id) VALUES (1)', 'shard-key-null'],
    ['INSERT INTO orders (customer_id) VALUES (NULL)', 'shard-key-null'],
    ['INSERT INTO orders (customer_id) VALUES (DEFAULT)', 'shard-key-null'],
    ['INSERT INTO orders DEFAULT VALUES', 'shard-key-null'],
    ['INSERT INTO orders (customer_id) VALUES (1 + 1)', 'shard-key-expression'],
    ["INSERT INTO orders (customer_id, id) VALUES (1, nextval('s'))", 'shard-sequence'],
    [
      'INSERT INTO orders (customer_id, id) SELECT 5, id FROM films',
      'keys 5 writes else shard-insert-select',
    ],
    [
      'INSERT INTO orders (customer_id, id) SELECT id, 1 FROM customers WHERE id = $1',
      'keys $1 writes else shard-insert-select',
    ],
    ['INSERT INTO orders (customer_id, id) SELECT id, 1 FROM customers', 'shard-insert-select'],
    ['INSERT INTO orders (customer_id, id) SELECT 5, id FROM customers WHERE id = 6', 'shard-insert-select'],
    [
      'INSERT INTO orders (customer_id) VALUES (1) ON CONFLICT DO NOTHING',
      'keys 1 writes else shard-write-tables',
    ],
    [
      'INSERT INTO orders (customer_id) VALUES (1) ON CONFLICT (customer_id) DO UPDATE SET customer_id = 2',
      'shard-key-update',
    ],
    ["INSERT INTO films VALUES (1, 'x', 2)", 'all writes everywhere'],
    ["INSERT INTO log VALUES ('x')", 'any'],
    ['INSERT INTO legacy VALUES (1)', 'shard 2'],
  ])
  const [split] = planner.plan(
    "INSERT INTO orders (customer_id, note) VALUES (1, 'a), ('), ($1, $t$ ), $t$) RETURNING *",
    {
      searchPath: ['public'],
      allowBroadcast: false,
    },
  )
  assert.ok(
    split?.plan.kind === 'keys' && 'how' in split.plan.across && split.plan.across.how === 'split-insert',
  )
  assert.deepEqual(split.plan.across.rows, ["(1, 'a), (')", '($1, $t$ ), $t$)'])
  assert.equal(split.plan.across.tail, ' RETURNING *')
})

test('UPDATE, DELETE and MERGE go to the shards of their keys, and to all only when that is allowed', () => {
  each([
    ['UPDATE orders SET price = 1 WHERE customer_id = 5', 'keys 5 writes else shard-write-tables'],
    ['UPDATE orders SET price = 1 WHERE customer_id IN (1, 2)', 'keys 1,2 writes else write'],
    ['UPDATE orders SET price = random() WHERE customer_id IN (1, 2)', 'keys 1,2 writes else shard-volatile'],
    ['UPDATE orders SET customer_id = 6 WHERE customer_id = 5', 'all writes move'],
    [
      'UPDATE orders SET customer_id = $1, price = 2 WHERE customer_id = $1',
      'keys $1 writes else shard-write-tables',
    ],
    ['UPDATE orders SET customer_id = 6 WHERE id = 5', 'shard-broadcast'],
    ['UPDATE orders SET customer_id = 6 WHERE customer_id = 5 RETURNING id', 'shard-key-update'],
    ['UPDATE orders SET price = 1', 'shard-broadcast'],
    ['DELETE FROM orders WHERE id = 1', 'shard-broadcast'],
    [
      'DELETE FROM orders USING customers c WHERE c.id = customer_id AND c.id = $1',
      'keys $1 writes else shard-write-tables',
    ],
    ['DELETE FROM orders USING customers c WHERE c.id = orders.id', 'shard-write-tables'],
    ['UPDATE orders SET price = (SELECT max(id) FROM customers) WHERE customer_id = 1', 'shard-write-tables'],
    ['UPDATE films SET title = $1', 'all writes everywhere'],
    ['UPDATE films SET title = now()::text', 'shard-volatile'],
    ['UPDATE films SET title = current_timestamp::text', 'shard-volatile'],
    ["UPDATE films SET title = 'now'::date::text", 'shard-volatile'],
    ['DELETE FROM films WHERE id IN (SELECT id FROM films LIMIT 1)', 'shard-volatile'],
    ["UPDATE films SET title = (SELECT string_agg(title, ',') FROM films)", 'shard-volatile'],
    ['DELETE FROM films WHERE id IN (SELECT film_id FROM orders)', 'shard-write-tables'],
    [
      'WITH gone AS (DELETE FROM orders WHERE customer_id = 1 RETURNING *) SELECT * FROM gone',
      'shard-nested-write',
    ],
    [
      'MERGE INTO orders o USING films f ON o.customer_id = 5 AND o.film_id = f.id WHEN MATCHED THEN UPDATE SET price = 1 WHEN NOT MATCHED THEN INSERT (customer_id, film_id) VALUES (5, f.id)',
      'keys 5 writes else shard-write-tables',
    ],
    [
      'MERGE INTO orders o USING films f ON o.customer_id = 5 AND o.film_id = f.id WHEN NOT MATCHED THEN INSERT (customer_id, film_id) VALUES (6, f.id)',
      'shard-key-expression',
    ],
  ])
  each(
    [
      ['UPDATE orders SET price = 1', 'all writes write'],
      ['UPDATE orders SET price = random()', 'shard-volatile'],
      ['DELETE FROM log', 'all writes write'],
    ],
    true,
  )
})

test('statements about tables and sessions', () => {
  each([
    ['BEGIN; COMMIT', 'transaction | transaction'],
    ['SET search_path = x', 'session'],
    ['SHOW server_version', 'any'],
    ['LISTEN a', 'fixed'],
    ['PREPARE a AS SELECT 1', 'shard-prepare'],
    ['DO $$ BEGIN END $$', 'shard-code'],
    ['CREATE TABLE orders (customer_id bigint, id bigint, PRIMARY KEY (customer_id, id))', 'ddl'],
    ['CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint)', 'shard-unique'],
    ['CREATE TABLE orders (id bigserial, customer_id bigint)', 'shard-sequence'],
    ['CREATE TABLE films (id bigserial PRIMARY KEY)', 'ddl'],
    ['CREATE TABLE orders (customer_id bigint REFERENCES customers)', 'ddl'],
    ['CREATE TABLE orders (customer_id bigint, other bigint REFERENCES customers (id))', 'shard-foreign-key'],
    ['CREATE TABLE orders (customer_id bigint, film_id bigint REFERENCES films)', 'ddl'],
    ['CREATE TABLE nobody (id bigint)', 'shard-table-unknown'],
    ['CREATE TEMP TABLE orders (id bigint)', 'shard-temporary'],
    ['CREATE TABLE x AS SELECT 1', 'shard-create-as'],
    ['CREATE UNIQUE INDEX ON orders (id)', 'shard-unique'],
    ['CREATE INDEX CONCURRENTLY ON orders (id)', 'ddl apart'],
    ['ALTER TABLE orders DROP COLUMN customer_id', 'shard-key-update'],
    ['ALTER TABLE orders ADD COLUMN x int UNIQUE', 'shard-unique'],
    ['TRUNCATE orders', 'ddl'],
    ['VACUUM', 'ddl apart'],
    ['ALTER TABLE orders RENAME TO other', 'shard-rename'],
    ['ALTER TABLE orders RENAME COLUMN customer_id TO other', 'shard-rename'],
    ['ALTER TABLE orders RENAME COLUMN note TO other', 'ddl'],
    ['ALTER TABLE orders SET SCHEMA other', 'shard-rename'],
    ['ALTER TABLE orders ADD COLUMN n bigserial', 'shard-sequence'],
    ['ALTER TABLE films ADD COLUMN n uuid DEFAULT gen_random_uuid()', 'shard-volatile'],
    ['ALTER TABLE films ADD COLUMN n timestamptz DEFAULT now()', 'shard-volatile'],
    ['ALTER TABLE films ADD COLUMN n int DEFAULT 3', 'ddl'],
    ['ALTER TABLE films ALTER COLUMN title SET DEFAULT now()::text', 'ddl'],
    ['CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (1) TO (2)', 'ddl'],
    ['CREATE TEMP VIEW v AS SELECT 1', 'shard-temporary'],
    ['CREATE TEMP SEQUENCE s', 'shard-temporary'],
    ['REFRESH MATERIALIZED VIEW v', 'ddl'],
    ['COPY orders (id, note) FROM STDIN', 'shard-key-null'],
    ['COPY films (id, title) FROM STDIN', 'shard-volatile'],
    ['COPY films (id, serial) FROM STDIN', 'copy-in'],
    ['COPY (SELECT * FROM orders WHERE customer_id = 1) TO STDOUT', 'copy-out'],
    ['COPY (SELECT count(*) FROM orders) TO STDOUT', 'shard-copy'],
    ['DECLARE c CURSOR FOR SELECT * FROM orders WHERE customer_id = 1', 'cursor c of keys 1 else concat'],
    ['DECLARE c CURSOR FOR SELECT * FROM orders', 'shard-cursor'],
    ['FETCH 1 FROM c', 'cursor c'],
    ['COPY orders FROM STDIN', 'copy-in'],
    ['COPY orders TO STDOUT', 'copy-out'],
    ['COPY films TO STDOUT', 'any'],
    ['COPY orders FROM STDIN WHERE id > 1', 'shard-copy'],
    ['EXPLAIN (ANALYZE) SELECT count(*) FROM orders', 'explain all combine'],
    ['EXPLAIN DELETE FROM orders', 'shard-broadcast'],
  ])
})

test('each statement of a text has its own plan and its own text', () => {
  const made = planner.plan('SELECT 1; /* ; */ SELECT * FROM orders WHERE customer_id = 7 ; ', {
    searchPath: ['public'],
    allowBroadcast: false,
  })
  assert.deepEqual(
    made.map(one => one.text.trim()),
    ['SELECT 1', 'SELECT * FROM orders WHERE customer_id = 7'],
  )
  assert.equal(words(made[1]?.plan as ShardPlan), 'keys 7 else concat')
})

test('every refusal is on the page of statements over shards, with what to do', () => {
  const page = readFileSync(new URL('../../../../docs/reference/sharding.md', import.meta.url), 'utf8')
  for (const code of shardRefusalCodes) assert.ok(page.includes(`<a id="${code}"></a>`), code)
})
