//! The records of a store, which a database keeps.

use crate::chain::ChainDigest;
use crate::crypto::Fingerprint;
use crate::sealed::Header;
use crate::store::{
    Account, Claim, DownloadClaims, Invite, Listing, NewUpload, StoreError, UserName,
};
use crate::types::cookie::{Cookie, CookieSource};

/// The most uploads of one owner that are not complete (`docs/protocol.md` §24): they are
/// invisible, and use space.
pub const PENDING_PER_OWNER: usize = 100;

/// The most uploads of all owners that are not complete (`docs/protocol.md` §24): keys are free,
/// and a lease lasts a day.
pub const PENDING_IN_ALL: u64 = 10_000;

/// Returns whether a blob of this name exists, ours or not.
pub type NameTakenFn<'a> = &'a dyn Fn(&str) -> Result<bool, StoreError>;

/// The records of a store. Each method that changes something does so durably and in one step:
/// after an error it is not done, and no crash will bring it back. If that cannot be known the
/// error is [`Stopped`], and every later call fails with it.
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

    /// A pending upload, even if its lease has ended, and the name of its blob.
    ///
    /// # Errors
    /// [`StoreError`]
    fn pending(&self, cookie: &Cookie) -> Result<Option<(String, Pending)>, StoreError>;

    /// All checkpoints of a pending upload, in order, without the start.
    ///
    /// # Errors
    /// [`StoreError`]
    fn checkpoints(&self, cookie: &Cookie) -> Result<Vec<(u64, ChainDigest)>, StoreError>;

    /// Records a checkpoint of a pending upload, forgets later ones, and renews the lease. Returns
    /// whether there is such an upload.
    ///
    /// # Errors
    /// [`StoreError`]; [`Quota`] if the reservation does not fit; the checkpoint is recorded even
    /// so.
    ///
    /// [`Quota`]: crate::store::StoreErrorKind::Quota
    fn advance(&self, cookie: &Cookie, progress: &Progress) -> Result<bool, StoreError>;

    /// Forgets a pending upload, with `lapsed_at` only if its lease has ended by then, in Unix
    /// seconds. Returns the name of its blob, which stays noted as an orphan.
    ///
    /// # Errors
    /// [`StoreError`]
    fn abandon(
        &self,
        cookie: &Cookie,
        lapsed_at: Option<u64>,
    ) -> Result<Option<String>, StoreError>;

    /// All pending uploads, or those whose lease has ended at a time, in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]
    fn uploads(&self, lapsed_at: Option<u64>) -> Result<Vec<Reservation>, StoreError>;

    /// Turns a reservation into a record of a file that was stored at a time, in Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]; of a sealed file, if its upload is not pending any more.
    fn publish(
        &self,
        reservation: &Reservation,
        stored: u64,
        record: &Record,
    ) -> Result<(), StoreError>;

    /// The name of a file's blob and its record, even if the file has expired.
    ///
    /// # Errors
    /// [`StoreError`]; [`Damaged`] if the record is not valid.
    ///
    /// [`Damaged`]: crate::store::StoreErrorKind::Damaged
    fn find(&self, cookie: &Cookie) -> Result<Option<(String, Record)>, StoreError>;

    /// Claims one of the deliveries of a file, or renews the claim that the key has; `false` if
    /// none is left, or there is no such file. Without a limit there is always one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn claim(&self, cookie: &Cookie, claim: &Claim) -> Result<bool, StoreError>;

    /// Counts a delivery to a key and ends its claim. Returns the deliveries after that; `None` if
    /// they are not limited, or if there is no such file.
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

    /// Removes a record, notes its blob as an orphan, and returns the blob's name. With
    /// `remembered`, its owner is remembered until that time, in Unix seconds, for
    /// [`was_unpublished`](Self::was_unpublished).
    ///
    /// # Errors
    /// [`StoreError`]
    fn unpublish(
        &self,
        cookie: &Cookie,
        remembered: Option<u64>,
    ) -> Result<Option<String>, StoreError>;

    /// Whether a removed record of this owner is still remembered at `now`, in Unix seconds. At
    /// most the latest [`REMOVED_REMEMBERED`](crate::store::REMOVED_REMEMBERED) are.
    ///
    /// # Errors
    /// [`StoreError`]
    fn was_unpublished(
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

    /// The cookies of all files, or of those that have expired at a time, in Unix seconds.
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

    /// The owner of a blob; `None` if the index does not know it.
    ///
    /// # Errors
    /// [`StoreError`]
    fn owner(&self, blob: &str) -> Result<Option<BlobOwner>, StoreError>;

    /// Forgets the note about a blob that is not there any more.
    ///
    /// # Errors
    /// [`StoreError`]
    fn clear_orphan(&self, blob: &str) -> Result<(), StoreError>;

    /// Creates a user, or returns the existing one of the key; only the former uses up an invite.
    ///
    /// # Errors
    /// [`StoreError`]; [`NameTaken`], and [`BadInvite`] for one that is not valid, or for none
    /// where one is needed.
    ///
    /// [`NameTaken`]: crate::store::StoreErrorKind::NameTaken
    /// [`BadInvite`]: crate::store::StoreErrorKind::BadInvite
    fn sign_up(&self, wish: &SignUp<'_>) -> Result<Account, StoreError>;

    /// The user with this key.
    ///
    /// # Errors
    /// [`StoreError`]
    fn account(&self, key: &Fingerprint) -> Result<Option<Account>, StoreError>;
}

/// The owner of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobOwner {
    /// A file's.
    Record,
    /// A pending upload's.
    Upload,
    /// It is noted as an orphan: on its way in, or to be removed.
    Orphan,
}

/// A request to become a user.
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

/// What an index stores of an upload that is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What the client said of it.
    pub upload: NewUpload,
    /// The key that began it.
    pub owner: Fingerprint,
    /// Bytes that count against the owner's quota.
    pub reserved: u64,
    /// When it ends unless it progresses, in Unix seconds.
    pub lease: u64,
}

/// A checkpoint of a pending upload.
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

/// What an index stores of a file. A file that 2019 code stored has none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// When it expires, in Unix seconds.
    pub expires: Option<u64>,
    /// The key that uploaded it, if that was proved.
    pub owner: Option<Fingerprint>,
    /// The header of a sealed file, with which its blob begins.
    pub header: Option<Header>,
    /// What its blob contains, if that was recorded.
    pub content: Option<Content>,
    /// How many deliveries it is kept for, if they are limited.
    pub downloads: Option<u64>,
}

impl Record {
    /// Whether the file has not expired at `now`, in Unix seconds.
    pub fn is_live(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

/// The content of a blob, to be compared with its bytes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The size in bytes, the header not counted.
    pub size: u64,
    /// The chain over all bytes (`docs/protocol.md` §22).
    pub chain: ChainDigest,
}
