// For tests: a service on a sharded database through the ordinary `pg` package. /query?sql=... answers the rows as JSON.

import { createServer } from 'node:http'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 })
// A connection that ends while it is idle is replaced at the next query.
pool.on('error', () => {})

await pool.query(
  `CREATE TABLE IF NOT EXISTS customers (id bigint PRIMARY KEY, name text${process.env.UNIQUE ? ' UNIQUE' : ''})`,
)
await pool.query(
  'CREATE TABLE IF NOT EXISTS orders (customer_id bigint REFERENCES customers, id bigint DEFAULT tenfold.next_id(), PRIMARY KEY (customer_id, id))',
)
await pool.query('CREATE TABLE IF NOT EXISTS films (id bigserial PRIMARY KEY, title text)')

createServer(async (request, response) => {
  try {
    const asked = new URL(request.url, 'http://service')
    if (asked.pathname === '/healthz') response.end('ok')
    else response.end(JSON.stringify((await pool.query(asked.searchParams.get('sql'))).rows))
  } catch (error) {
    response.statusCode = 500
    response.end(`${error.code} ${error.message}`)
  }
}).listen(process.env.PORT)
