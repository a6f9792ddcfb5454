"""Run by Alembic for every migration: joins the connection that `runner` holds with the tables of every room."""

from alembic import context

from muster.migrations.whole_schema import is_declared, whole_schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=whole_schema(),
    include_name=is_declared,
    # SQLite, too, takes a change of schema back when the transaction fails, once the driver does not commit behind our back.
    transactional_ddl=True,
)
# No `context.begin_transaction()`: the runner's transaction holds the migration lock and the changes together.
context.run_migrations()
