// For tests: a service on a database through the ordinary `pg` package, without a schema of its own. /query?sql=... answers the
// rows as JSON, or the SQLSTATE.

import { createServer } from 'node:http'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 })
// A connection that ends while it is idle is replaced at the next query.
pool.on('error', () => {})

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
