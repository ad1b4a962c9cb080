//! The records of a store, which a database keeps.

use crate::chain::ChainDigest;
use crate::crypto::Fingerprint;
use crate::sealed::Header;
use crate::store::{
    Account, Claim, DownloadClaims, Invite, Listing, NewUpload, StoreError, UserName,
};
use crate::types::cookie::{Cookie, CookieSource};

/// The most uploads of one owner that are not complete (`docs/protocol.md` §24): nobody sees them,
/// and all pay for them.
pub const PENDING_PER_OWNER: usize = 100;

/// The most uploads of all owners that are not complete (`docs/protocol.md` §24): keys are cheap,
/// and a day of leases long.
pub const PENDING_IN_ALL: u64 = 10_000;

/// Says whether there is a blob of this name, be it ours or not.
pub type NameTakenFn<'a> = &'a dyn Fn(&str) -> Result<bool, StoreError>;

/// The records of a store. Each method that changes something does so durably and in one step: an
/// error says that it is not done, and that no crash will bring it back. Where that cannot be known
/// the error is [`Stopped`], and so is the answer to everything from then on.
///
/// [`Stopped`]: crate::store::StoreErrorKind::Stopped
pub trait Index: Send + Sync + 'static {
    /// Reserves a cookie from `cookies` that no file has and whose blob's name is not `taken`, and
    /// notes the blob as an orphan. A sealed file is noted as `pending` in the same step, unless its
    /// owner has `files_per_owner` files or uploads.
    ///
    /// # Errors
    /// [`StoreError`]; [`TooManyUploads`], [`TooManyFiles`] and [`Quota`] of a sealed file's owner.
    ///
    /// [`TooManyFiles`]: crate::store::StoreErrorKind::TooManyFiles
    /// [`TooManyUploads`]: crate::store::StoreErrorKind::TooManyUploads
    /// [`Quota`]: crate::store::StoreErrorKind::Quota
    fn reserve(
        &self,
        pending: Option<&Pending>,
        files_per_owner: u64,
        cookies: &dyn CookieSource,
        taken: NameTakenFn<'_>,
    ) -> Result<Reservation, StoreError>;

    /// A pending upload, be its lease over or not, and the name of its blob.
    ///
    /// # Errors
    /// [`StoreError`]
    fn pending(&self, cookie: &Cookie) -> Result<Option<(String, Pending)>, StoreError>;

    /// All checkpoints of a pending upload, in order, without the start.
    ///
    /// # Errors
    /// [`StoreError`]
    fn checkpoints(&self, cookie: &Cookie) -> Result<Vec<(u64, ChainDigest)>, StoreError>;

    /// A pending upload goes on from a checkpoint: it is recorded, later ones are forgotten, and
    /// the lease begins anew. Says whether there is such an upload.
    ///
    /// # Errors
    /// [`StoreError`]; [`Quota`] if only what is to be reserved was refused: the checkpoint is
    /// recorded even so.
    ///
    /// [`Quota`]: crate::store::StoreErrorKind::Quota
    fn advance(&self, cookie: &Cookie, progress: &Progress) -> Result<bool, StoreError>;

    /// Forgets a pending upload, or one only whose lease is over at a moment, in Unix seconds. Its
    /// blob, whose name it gives, is still noted as an orphan.
    ///
    /// # Errors
    /// [`StoreError`]
    fn abandon(
        &self,
        cookie: &Cookie,
        lapsed_at: Option<u64>,
    ) -> Result<Option<String>, StoreError>;

    /// All pending uploads, or those whose lease is over at a moment, in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]
    fn uploads(&self, lapsed_at: Option<u64>) -> Result<Vec<Reservation>, StoreError>;

    /// Turns a reservation into a record of a file that was stored at a moment, in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]; of a sealed file, if its upload is not pending any more.
    fn publish(
        &self,
        reservation: &Reservation,
        stored: u64,
        record: &Record,
    ) -> Result<(), StoreError>;

    /// The name of a file's blob and what was recorded, be the file expired or not.
    ///
    /// # Errors
    /// [`StoreError`]; [`Damaged`] if the record is not what it should be.
    ///
    /// [`Damaged`]: crate::store::StoreErrorKind::Damaged
    fn find(&self, cookie: &Cookie) -> Result<Option<(String, Record)>, StoreError>;

    /// Claims one of the deliveries of a file, or renews the claim that the key has; `false` if
    /// none is left, or there is no such file. Without a limit there is always one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn claim(&self, cookie: &Cookie, claim: &Claim) -> Result<bool, StoreError>;

    /// Counts a delivery to a key, whose claim has come to its end; gives what the deliveries are
    /// then. `None` if they are not limited, or if there is no such file.
    ///
    /// # Errors
    /// [`StoreError`]
    fn deliver(
        &self,
        cookie: &Cookie,
        by: &Fingerprint,
    ) -> Result<Option<DownloadClaims>, StoreError>;

    /// The files that were delivered as often as they were to be.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delivered(&self) -> Result<Vec<Cookie>, StoreError>;

    /// Withdraws a record and notes its blob, whose name it gives, as an orphan. If it is to be
    /// remembered until a moment, in Unix seconds, whose it was,
    /// [`was_withdrawn`](Self::was_withdrawn) tells it.
    ///
    /// # Errors
    /// [`StoreError`]
    fn unpublish(
        &self,
        cookie: &Cookie,
        remembered: Option<u64>,
    ) -> Result<Option<String>, StoreError>;

    /// Whether a record of this owner was withdrawn that is remembered at a moment, in Unix
    /// seconds. At most [`REMOVED_REMEMBERED`](crate::store::REMOVED_REMEMBERED) are, the latest.
    ///
    /// # Errors
    /// [`StoreError`]
    fn was_withdrawn(
        &self,
        cookie: &Cookie,
        owner: &Fingerprint,
        now: u64,
    ) -> Result<bool, StoreError>;

    /// How many files there are.
    ///
    /// # Errors
    /// [`StoreError`]
    fn count(&self) -> Result<usize, StoreError>;

    /// The cookies of all files, or of those that have expired at a moment, in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]
    fn cookies(&self, expired_at: Option<u64>) -> Result<Vec<Cookie>, StoreError>;

    /// The next files of an owner that have not expired at `now`, oldest first; `None` if `after`
    /// is not one of them.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(
        &self,
        owner: &Fingerprint,
        after: Option<&Cookie>,
        now: u64,
    ) -> Result<Option<Listing>, StoreError>;

    /// The names of all blobs that are noted as an orphan, and that neither a record nor a pending
    /// upload names.
    ///
    /// # Errors
    /// [`StoreError`]
    fn orphans(&self) -> Result<Vec<String>, StoreError>;

    /// Whose a blob is; `None` if this index has never heard of it, or has forgotten it.
    ///
    /// # Errors
    /// [`StoreError`]
    fn owner(&self, blob: &str) -> Result<Option<BlobOwner>, StoreError>;

    /// Forgets the note about a blob that is not there any more.
    ///
    /// # Errors
    /// [`StoreError`]
    fn clear_orphan(&self, blob: &str) -> Result<(), StoreError>;

    /// Makes a user, or gives the one that the key is already; a valid invite is used up by the
    /// former only.
    ///
    /// # Errors
    /// [`StoreError`]; [`NameTaken`], and [`BadInvite`] for one that is not valid, or for none
    /// where one is needed.
    ///
    /// [`NameTaken`]: crate::store::StoreErrorKind::NameTaken
    /// [`BadInvite`]: crate::store::StoreErrorKind::BadInvite
    fn sign_up(&self, wish: &SignUp<'_>) -> Result<Account, StoreError>;

    /// The user that a key is.
    ///
    /// # Errors
    /// [`StoreError`]
    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError>;
}

/// Whose a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobOwner {
    /// A file's.
    Record,
    /// A pending upload's.
    Upload,
    /// It is noted as an orphan: on its way in, or to be removed.
    Unowned,
}

/// Somebody who wants to be a user.
#[derive(Clone, Copy, Debug)]
pub struct SignUp<'a> {
    /// Their key.
    pub key: &'a Fingerprint,
    /// The name they want.
    pub name: &'a UserName,
    /// The invite that they have.
    pub invite: Option<&'a Invite>,
    /// Whether one is needed.
    pub by_invite_only: bool,
    /// The time, in Unix seconds.
    pub now: u64,
}

/// A cookie that no other file can get, and the name of the blob that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The cookie.
    pub cookie: Cookie,
    /// The blob's name: a single component, without separators.
    pub blob: String,
}

/// What an index keeps of an upload that is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What the client said of it.
    pub upload: NewUpload,
    /// The key that began it.
    pub owner: Fingerprint,
    /// Bytes that count against the owner's quota.
    pub reserved: u64,
    /// When it ends unless something new comes, in Unix seconds.
    pub lease: u64,
}

/// A checkpoint that a pending upload goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The bytes that are durable, the header not counted; 0 is the start.
    pub position: u64,
    /// The chain there.
    pub chain: ChainDigest,
    /// Bytes that are to count against the owner's quota from now on.
    pub reserved: u64,
    /// When the lease ends from now on, in Unix seconds.
    pub lease: u64,
}

/// What an index keeps of a file: nothing of one of 2019.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// When it will be gone, in Unix seconds.
    pub expires: Option<u64>,
    /// The key that uploaded it, if that was proved.
    pub owner: Option<Fingerprint>,
    /// The header of a sealed file, with which its blob begins.
    pub header: Option<Header>,
    /// What its blob holds; the first version did not record it.
    pub content: Option<Content>,
    /// How many deliveries it is kept for, if they are limited.
    pub downloads: Option<u64>,
}

impl Record {
    /// Whether the file can be asked for at a moment, in Unix seconds.
    pub fn is_live(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

/// What a blob holds, to be compared with its bytes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The size in bytes, the header not counted.
    pub size: u64,
    /// The chain over all bytes (`docs/protocol.md` §22).
    pub chain: ChainDigest,
}
