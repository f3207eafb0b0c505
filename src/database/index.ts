// What the composition root uses of the database tier.

export { databaseFailures } from './failures.ts'
export { runRouter, type RouterRoleOptions } from './router/role.ts'
