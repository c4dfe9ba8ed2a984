//! What an authenticator application scans: the `otpauth` address and its picture.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qrcode::{Color, EcLevel, QrCode};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{DIGITS, PERIOD_S};

/// Width and height of the picture in pixels.
const SIZE: usize = 200;
/// Modules of white on each side that scanners rely on.
const QUIET: usize = 4;
const WHITE: u8 = 0xff;
const BLACK: u8 = 0;

/// What means something in an address is escaped.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The issuer and the account are too long for a picture, or it could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    #[error("the address does not fit into a QR code of 200 pixels (AUTH_MFA_TOTP_ISSUER?)")]
    TooLong,
    #[error("the picture was not written")]
    Picture(#[from] png::EncodingError),
}

/// A secret on its way to the application that will keep it.
pub struct Enrolment {
    address: SecretString,
}

impl Enrolment {
    /// For this account, as the application will list it.
    pub fn new(issuer: &str, account: &str, secret: &SecretString) -> Self {
        // One colon stands between issuer and account; applications take another one for it, escaped
        // or not, and keep a name that is none.
        let without_colons = |name: &str| name.replace(':', "");
        let (issuer, account) = (without_colons(issuer), without_colons(account));
        let issuer = utf8_percent_encode(&issuer, ESCAPED);
        let account = utf8_percent_encode(&account, ESCAPED);
        let secret = secret.expose_secret();
        let address = format!(
            "otpauth://totp/{issuer}:{account}?algorithm=SHA1&digits={DIGITS}&issuer={issuer}\
             &period={PERIOD_S}&secret={secret}"
        );
        Self { address: address.into() }
    }

    /// The picture as a `data:` URL.
    pub fn picture(&self) -> Result<SecretString, EnrolmentError> {
        let png = Zeroizing::new(encode(&draw(self.address.expose_secret())?)?);
        Ok(format!("data:image/png;base64,{}", STANDARD.encode(png.as_slice())).into())
    }
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolment(***)")
    }
}

/// One byte a pixel; modules are as large as fits, in the middle.
fn draw(text: &str) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|_too_long| EnrolmentError::TooLong)?;
    let width = code.width();
    let scale = SIZE / (width + 2 * QUIET);
    if scale == 0 {
        return Err(EnrolmentError::TooLong);
    }
    let margin = (SIZE - width * scale) / 2;
    let mut pixels = Zeroizing::new(vec![WHITE; SIZE * SIZE]);
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (margin + at % width * scale, margin + at / width * scale);
            for row in pixels.chunks_exact_mut(SIZE).skip(y).take(scale) {
                row[x..x + scale].fill(BLACK);
            }
        }
    }
    Ok(pixels)
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let side = u32::try_from(SIZE).expect("a picture's side fits");
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(issuer: &str, account: &str) -> String {
        Enrolment::new(issuer, account, &"L5ZSH2".into()).address.expose_secret().to_owned()
    }

    #[test]
    fn the_address_has_its_parameters_in_order() {
        assert_eq!(
            address("auth", "mfa@ex.com"),
            "otpauth://totp/auth:mfa@ex.com?algorithm=SHA1&digits=6&issuer=auth&period=30&secret=L5ZSH2"
        );
    }

    #[test]
    fn a_name_has_no_colon() {
        let address = address("Acme: Inc.", "a:b@ex.com");
        assert!(address.starts_with("otpauth://totp/Acme%20Inc.:ab@ex.com?"), "{address}");
        assert!(!address.contains("%3A") && address.contains("&issuer=Acme%20Inc.&"), "{address}");
    }

    #[test]
    fn nothing_in_a_name_can_add_a_parameter() {
        let address = address("My App: 1&2", "a?secret=x&b#/%41@ex.com");
        assert_eq!(
            address,
            "otpauth://totp/My%20App%201%262:a%3Fsecret%3Dx%26b%23%2F%2541@ex.com\
             ?algorithm=SHA1&digits=6&issuer=My%20App%201%262&period=30&secret=L5ZSH2"
        );
    }

    #[test]
    fn the_picture_is_a_grey_png_of_200_pixels_with_a_white_border() {
        for account in ["a@b.co", &"long-".repeat(60)] {
            let picture = Enrolment::new("auth", account, &"L5ZSH2".into()).picture().unwrap();
            let encoded = picture.expose_secret().strip_prefix("data:image/png;base64,").unwrap();
            let file = STANDARD.decode(encoded).unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let frame = reader.next_frame(&mut pixels).unwrap();
            assert_eq!((frame.width, frame.height), (200, 200));
            assert_eq!(frame.color_type, png::ColorType::Grayscale);
            assert!(pixels[..200 * QUIET].iter().all(|pixel| *pixel == WHITE));
            assert!(pixels.contains(&BLACK));
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let long = Enrolment::new("auth", &"x".repeat(3_000), &"L5ZSH2".into());
        assert!(matches!(long.picture(), Err(EnrolmentError::TooLong)));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let enrolment = Enrolment::new("auth", "a@b.co", &"L5ZSH2".into());
        assert_eq!(format!("{enrolment:?}"), "Enrolment(***)");
    }
}
