//! What each role may do: the only list of the grants. Tests compare it with the database and with the documentation.

use Right::{Delete, Insert, Select, SelectOf, Update, UpdateOf};
use Role::{Api, Ingest, Read};

/// A role of the database; logins are made members of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `tiris-api`.
    Api,
    /// `tiris-ingest`.
    Ingest,
    /// People, dashboards and `tiris-migrate verify`.
    Read,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Api, Ingest, Read];

    /// Returns the name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Api => "tiris_api",
            Ingest => "tiris_ingest",
            Read => "tiris_read",
        }
    }
}

/// A right on a table or view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Reads all columns.
    Select,
    /// Reads these columns; the others are secrets, or not needed.
    SelectOf(&'static [&'static str]),
    /// Adds rows.
    Insert,
    /// Changes all columns.
    Update,
    /// Changes these columns. PostgreSQL demands the right to change one for `SELECT ... FOR SHARE` and `FOR UPDATE`.
    UpdateOf(&'static [&'static str]),
    /// Removes rows.
    Delete,
}

impl Right {
    /// Returns the privilege of PostgreSQL.
    #[must_use]
    pub const fn privilege(self) -> &'static str {
        match self {
            Select | SelectOf(_) => "SELECT",
            Insert => "INSERT",
            Update | UpdateOf(_) => "UPDATE",
            Delete => "DELETE",
        }
    }

    /// Returns the columns; none for all of them.
    #[must_use]
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            SelectOf(columns) | UpdateOf(columns) => columns,
            _ => &[],
        }
    }
}

/// The rights on a table or view.
#[derive(Clone, Copy, Debug)]
pub struct TableRights {
    /// Name of the table.
    pub table: &'static str,
    /// Rights of `tiris-api`.
    pub api: &'static [Right],
    /// Rights of `tiris-ingest`.
    pub ingest: &'static [Right],
    /// Rights of readers.
    pub read: &'static [Right],
}

impl TableRights {
    /// Returns the rights of a role.
    #[must_use]
    pub const fn of(&self, role: Role) -> &'static [Right] {
        match role {
            Api => self.api,
            Ingest => self.ingest,
            Read => self.read,
        }
    }
}

/// The roles that may call a function that runs as the owner.
#[derive(Clone, Copy, Debug)]
pub struct FunctionRights {
    /// Name of the function.
    pub function: &'static str,
    /// Its callers.
    pub callers: &'static [Role],
}

const NOTHING: &[Right] = &[];
const READ: &[Right] = &[Select];
/// Rows stay as they are.
const APPEND: &[Right] = &[Select, Insert];
const WRITE: &[Right] = &[Select, Insert, Update];
const ALL: &[Right] = &[Select, Insert, Update, Delete];

/// The rights on every table and view of the schema.
pub const TABLES: &[TableRights] = &[
    TableRights {
        table: "account_daily",
        api: READ,
        ingest: READ,
        read: READ,
    },
    TableRights {
        table: "account_hourly",
        api: READ,
        ingest: READ,
        read: READ,
    },
    TableRights {
        table: "audit_logs",
        api: READ,
        ingest: NOTHING,
        read: READ,
    },
    TableRights {
        table: "bare_publishers",
        api: NOTHING,
        ingest: WRITE,
        read: READ,
    },
    TableRights {
        table: "bots",
        api: &[Select, Delete],
        ingest: ALL,
        read: READ,
    },
    TableRights {
        table: "dead_letters",
        api: &[Select, Update],
        ingest: ALL,
        read: READ,
    },
    TableRights {
        table: "exchange_bindings",
        api: WRITE,
        ingest: NOTHING,
        // `info` may contain a passphrase that an older portal stored there.
        read: &[SelectOf(&[
            "id",
            "user_id",
            "name",
            "exchange_type",
            "kind",
            "masked_api_key",
            "key_id",
            "status",
            "last_verified_at",
            "created_at",
            "updated_at",
        ])],
    },
    TableRights {
        table: "history_horizons",
        api: READ,
        ingest: NOTHING,
        read: READ,
    },
    TableRights {
        table: "holds",
        api: ALL,
        ingest: ALL,
        read: READ,
    },
    TableRights {
        table: "idempotency_keys",
        api: ALL,
        ingest: &[
            SelectOf(&["user_id", "method", "path", "key", "expires_at"]),
            UpdateOf(&["expires_at"]),
            Delete,
        ],
        read: &[SelectOf(&[
            "user_id",
            "method",
            "path",
            "status",
            "expires_at",
            "created_at",
        ])],
    },
    TableRights {
        table: "ingest_lanes",
        api: READ,
        ingest: WRITE,
        read: READ,
    },
    TableRights {
        table: "ingest_workers",
        api: READ,
        ingest: ALL,
        read: READ,
    },
    TableRights {
        table: "lane_detours",
        api: READ,
        ingest: ALL,
        read: READ,
    },
    TableRights {
        table: "oauth_identities",
        api: ALL,
        ingest: NOTHING,
        read: &[SelectOf(&[
            "id",
            "user_id",
            "provider",
            "subject",
            "openid",
            "unionid",
            "key_id",
            "created_at",
            "updated_at",
        ])],
    },
    TableRights {
        table: "oauth_states",
        api: ALL,
        ingest: &[
            SelectOf(&["state", "expires_at"]),
            UpdateOf(&["expires_at"]),
            Delete,
        ],
        read: &[SelectOf(&[
            "provider",
            "redirect_uri",
            "expires_at",
            "created_at",
        ])],
    },
    TableRights {
        table: "orders",
        api: WRITE,
        ingest: WRITE,
        read: READ,
    },
    TableRights {
        table: "processed_events",
        api: ALL,
        ingest: ALL,
        read: READ,
    },
    TableRights {
        table: "replay_jobs",
        api: APPEND,
        ingest: WRITE,
        read: READ,
    },
    TableRights {
        table: "seaql_migrations",
        api: READ,
        ingest: READ,
        read: READ,
    },
    TableRights {
        table: "sessions",
        api: WRITE,
        ingest: &[
            SelectOf(&["id", "expires_at"]),
            UpdateOf(&["expires_at"]),
            Delete,
        ],
        read: &[SelectOf(&[
            "id",
            "user_id",
            "user_agent",
            "expires_at",
            "revoked_at",
            "created_at",
            "updated_at",
        ])],
    },
    TableRights {
        table: "sub_accounts",
        // An account never moves to another user.
        api: &[
            Select,
            Insert,
            UpdateOf(&[
                "name",
                "balance",
                "locked",
                "sequence",
                "deleted_at",
                "info",
                "updated_at",
            ]),
        ],
        ingest: &[
            Select,
            UpdateOf(&["balance", "locked", "sequence", "updated_at"]),
        ],
        read: READ,
    },
    TableRights {
        table: "trading_logs",
        api: APPEND,
        ingest: APPEND,
        read: READ,
    },
    TableRights {
        table: "tradings",
        api: &[
            Select,
            Insert,
            UpdateOf(&[
                "exchange_binding_id",
                "name",
                "status",
                "info",
                "updated_at",
            ]),
        ],
        ingest: &[Select, UpdateOf(&["updated_at"])],
        read: READ,
    },
    TableRights {
        table: "transactions",
        api: APPEND,
        ingest: APPEND,
        read: READ,
    },
    TableRights {
        table: "users",
        api: WRITE,
        ingest: &[Select, UpdateOf(&["updated_at"])],
        read: READ,
    },
];

/// The callers of every function that runs as the owner.
pub const FUNCTIONS: &[FunctionRights] = &[
    FunctionRights {
        function: "delete_trading_log",
        callers: &[Api],
    },
    FunctionRights {
        function: "purge_trading",
        callers: &[Api, Ingest],
    },
    FunctionRights {
        function: "record_audit",
        callers: &[Api, Ingest],
    },
    FunctionRights {
        function: "upkeep_compression",
        callers: &[Ingest],
    },
    FunctionRights {
        function: "upkeep_partitions",
        callers: &[Ingest],
    },
    FunctionRights {
        function: "upkeep_retention",
        callers: &[Ingest],
    },
    FunctionRights {
        function: "upkeep_statistics",
        callers: &[Ingest],
    },
];
